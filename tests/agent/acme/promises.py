"""Which test proves what: the behaviours that an ACME client owes its users, and the causes of failures.
May import: the standard library only. test_promises.py holds it to the tests that there are."""

from __future__ import annotations

from dataclasses import dataclass

# Files by short names, below tests/agent.
_FILES = {
    "account": "acme/test_account.py",
    "addresses": "acme/check/test_addresses.py",
    "ari": "acme/test_ari.py",
    "caa": "acme/check/test_caa.py",
    "causes": "acme/test_causes.py",
    "certbot": "certificates/test_certbot.py",
    "directory": "acme/check/test_directory.py",
    "dns01": "acme/test_dns01.py",
    "dns_order": "dns/test_order.py",
    "failures": "acme/test_failures.py",
    "issue": "certificates/test_issue.py",
    "killed": "certificates/test_killed.py",
    "limits": "acme/check/test_limits.py",
    "lineage": "acme/test_lineage.py",
    "names": "acme/check/test_names.py",
    "net": "acme/test_net.py",
    "order": "acme/test_order.py",
    "path": "acme/check/test_path.py",
    "public": "acme/check/test_public.py",
    "publish": "dns/test_publish.py",
    "renewal": "certificates/test_renewal.py",
    "resume": "acme/test_resume.py",
    "schedule": "acme/test_schedule.py",
    "storage": "acme/check/test_storage.py",
}


@dataclass(frozen=True)
class Behaviour:
    """`tests` as "file: function". Without any it is not built; `why` says so."""

    words: str
    tests: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Produced:
    """How a cause comes about in a test. "authority": a real one refuses because it is so. "front": a front before a
    real one answers in Boulder's words, because Pebble has no such rule. "check": the check before an order finds it,
    on real servers. "here": this machine or its DNS provider is really so."""

    by: str
    tests: tuple[str, ...]


def path_and_function(test: str) -> tuple[str, str]:
    """The file below tests/agent and the function."""
    file, _, function = test.partition(": ")
    return _FILES[file], function


def _proved(words: str, *tests: str) -> Behaviour:
    return Behaviour(words, tests)


BEHAVIOURS: dict[int, Behaviour] = {
    1: _proved("one name", "order: test_one_name_is_issued_in_stages_that_a_person_can_follow"),
    2: _proved("20 names", "order: test_twenty_names_are_checked_together"),
    3: _proved(
        "a name and its wildcard by DNS, two values",
        "dns01: test_a_name_and_its_wildcard_are_shown_by_two_values",
        "dns_order: test_a_name_its_wildcard_and_a_delegated_name_in_one_certificate",
    ),
    4: _proved("an address, profile shortlived", "order: test_an_address_gets_a_certificate_of_the_short_profile"),
    5: _proved(
        "5, 20, 50 and 90 % of all nonces refused",
        "net: test_refused_nonces_are_replaced",
        "causes: test_an_authority_that_refuses_every_nonce_is_not_asked_for_ever",
    ),
    6: _proved(
        "authorizations used again, and not",
        "order: test_a_name_that_was_shown_before_needs_no_challenge",
        "order: test_a_name_is_shown_anew_where_the_authority_forgets",
    ),
    7: _proved("a wrong token", "failures: test_a_web_server_that_answers_something_else_is_another_machine"),
    8: _proved(
        "404, 403, 500, an empty body, a long one",
        "failures: test_what_the_web_server_answers_is_told_as_its_cause",
        "failures: test_a_web_server_that_answers_something_else_is_another_machine",
    ),
    9: _proved(
        "validation takes seconds",
        "order: test_an_authority_that_takes_its_time_is_waited_for",
        "order: test_a_cancelled_or_stopped_order_leaves_no_token",
    ),
    10: _proved("a deadline, then resumed by its URL", "order: test_an_order_that_takes_too_long_is_taken_up_again"),
    11: _proved("validation without a pause", "order: test_twenty_jobs_at_once_do_not_disturb_each_other"),
    12: _proved(
        "external account binding",
        "account: test_good_values_of_a_binding_are_taken_as_people_paste_them",
        "account: test_bad_values_of_a_binding_are_told_in_plain_words",
    ),
    13: _proved("terms not agreed to", "account: test_the_terms_are_agreed_to_because_there_is_no_account_without"),
    14: _proved(
        "profiles, and one that is unknown",
        "order: test_an_address_gets_a_certificate_of_the_short_profile",
        "order: test_a_profile_that_the_authority_does_not_know_is_left_out",
    ),
    15: _proved(
        "the lifetime decides when it is renewed",
        "order: test_an_address_gets_a_certificate_of_the_short_profile",
        "schedule: test_a_third_is_left_at_renewal_and_half_of_a_short_one",
    ),
    16: _proved(
        "a window; its moment outlives a restart",
        "renewal: test_a_window_is_asked_for_and_one_in_the_past_renews_now",
        "ari: test_the_window_of_a_certificate_lies_before_its_end",
    ),
    17: _proved(
        "a window in the past",
        "renewal: test_a_window_is_asked_for_and_one_in_the_past_renews_now",
        "ari: test_a_window_in_the_past_says_why",
    ),
    18: _proved(
        "renewal information that makes no sense",
        "ari: test_an_answer_that_makes_no_sense_is_none",
        "ari: test_a_refusal_is_none",
        "ari: test_an_authority_that_has_none_or_is_away_is_no_reason_to_fail",
    ),
    19: _proved(
        "Retry-After of a window, within limits",
        "ari: test_the_next_question_is_between_a_minute_and_a_day_away",
    ),
    20: _proved("the window of a revoked one", "ari: test_a_revoked_certificate_is_to_be_renewed_now"),
    21: _proved("replaces", "resume: test_a_renewal_replaces_and_goes_on_without_when_it_may_not"),
    22: _proved("replaces twice", "resume: test_a_renewal_replaces_and_goes_on_without_when_it_may_not"),
    23: _proved(
        "replaces for other names, of another account, garbage",
        "resume: test_a_renewal_replaces_and_goes_on_without_when_it_may_not",
    ),
    24: _proved(
        "Retry-After in seconds and as a date, in three time zones",
        "net: test_a_newer_pebble_with_retry_after_of_both_kinds_is_waited_for",
        "net: test_polling_follows_the_authoritys_retry_after",
        "net: test_a_retry_date_is_the_same_in_every_time_zone",
    ),
    25: _proved(
        "the account deactivated in the middle",
        "account: test_one_that_is_deactivated_in_the_middle_of_an_order_is_made_again",
        "account: test_an_account_that_is_deactivated_at_the_authority_is_noticed",
    ),
    26: _proved("the account unknown", "resume: test_an_authority_that_lost_its_memory_gets_a_new_account_and_order"),
    27: _proved("an account found by its key", "account: test_an_account_whose_address_was_lost_is_found_by_its_key"),
    28: Behaviour("another account key", why="accounts keep their key"),
    29: Behaviour("the same account key again", why="accounts keep their key"),
    30: _proved("one of twenty names fails", "order: test_one_of_twenty_names_fails_and_is_named"),
    31: _proved("authorizations deactivated, expired", "resume: test_an_authorization_in_any_end_state_ends_the_order"),
    32: _proved(
        "revoked by account, by key, twice, for a bad reason",
        "ari: test_revoked_by_the_account_and_revoked_again",
        "ari: test_revoked_by_its_own_key_where_the_account_is_another",
        "ari: test_a_reason_that_does_not_exist_is_refused",
    ),
    33: Behaviour("a choice of chains", why="the chain is the authority's own"),
    34: _proved("issuers with RSA and ECDSA", "order: test_an_authority_of_elliptic_curves_is_fine_too"),
    35: _proved(
        "blocked names",
        "failures: test_names_that_the_authority_blocks_are_named",
        "failures: test_parts_of_a_refusal_name_each_name",
    ),
    36: _proved(
        "a request for other names, with the account's key, with a short key",
        "account: test_a_request_for_other_names_than_those_of_the_order_is_refused",
        "failures: test_the_key_of_the_account_is_refused_as_that_of_a_certificate",
        "failures: test_a_short_key_is_refused",
    ),
    37: _proved("not ready yet", "resume: test_an_order_that_is_not_ready_yet_is_waited_for"),
    38: _proved("strict", "order: test_an_authority_that_is_as_strict_as_it_can_be"),
    39: _proved(
        "the authority killed during an order, one certificate",
        "resume: test_an_authority_that_lost_its_memory_gets_a_new_account_and_order",
        "resume: test_an_authority_that_dies_during_the_order_is_told_as_unreachable",
        "resume: test_a_network_that_breaks_late_is_gone_on_from",
        "resume: test_an_answer_that_is_lost_on_its_way_costs_no_second_certificate",
    ),
    40: _proved("the authority away at the start", "net: test_an_authority_that_is_not_there_is_told"),
    41: _proved("an untrusted authority", "net: test_an_authority_with_a_certificate_of_somebody_else_is_not_trusted"),
    42: _proved("a directory that is HTML", "net: test_a_directory_that_is_none_is_told"),
    43: Behaviour("dns-persist-01", why="no public authority offers it in production"),
    44: _proved(
        "DNS that fails, aliases, CAA",
        "failures: test_name_servers_that_fail",
        "causes: test_name_servers_that_fail_are_met_before_anything_is_published",
        "publish: test_a_delegated_challenge_is_written_where_it_leads",
        "caa: test_the_name_server_of_a_test_authority_is_asked_the_same_way",
    ),
    45: _proved(
        "IPv6 only, and a wrong IPv6 address",
        "failures: test_a_name_that_is_reached_by_ipv6_only",
        "causes: test_an_ipv6_address_of_another_machine_is_tried_first",
        "public: test_another_machine_at_the_ipv6_address_is_an_error",
    ),
    46: _proved(
        "rules of nginx in front of the challenge",
        "path: test_rules_in_locations_do_not_matter",
        "path: test_a_rule_of_the_server_hides_the_path_and_its_answer_is_said",
        "path: test_a_location_without_its_mark_loses_to_one_for_hidden_files",
        "path: test_a_limit_of_requests_lets_the_first_one_through_and_is_noticed",
    ),
    47: _proved(
        "20 jobs at once, the same name twice",
        "order: test_twenty_jobs_at_once_do_not_disturb_each_other",
        "issue: test_fifty_clicks_make_one_order",
    ),
    48: _proved(
        "429 and 503 with Retry-After, and a pause",
        "causes: test_what_an_authority_refuses_to_order_is_told_with_its_moment",
        "net: test_an_authority_that_asks_for_more_patience_than_there_is_ends_with_the_moment",
        "resume: test_a_busy_moment_at_any_step_is_waited_out",
        "failures: test_a_pause_is_told_with_the_page_that_ends_it",
    ),
    49: _proved(
        "a crash between two links",
        "killed: test_a_renewal_that_is_killed_anywhere_goes_on_and_orders_once",
        "lineage: test_a_crash_between_two_links_is_mended",
    ),
    50: _proved(
        "nginx refuses the new certificate", "renewal: test_nginx_that_refuses_the_new_one_goes_on_with_the_old_one"
    ),
    51: _proved(
        "a full disk, a folder that cannot be written",
        "killed: test_a_full_disk_keeps_the_old_certificate_and_orders_nothing_twice",
        "storage: test_a_read_only_file_system_is_an_error_with_its_path",
        "account: test_an_account_folder_that_cannot_be_written_is_told",
    ),
    52: _proved(
        "a clock that was moved",
        "renewal: test_a_clock_that_jumps_ahead_makes_it_due_once",
        "renewal: test_a_clock_that_went_back_leaves_nothing_waiting_for_years",
        "directory: test_a_clock_that_is_wrong_is_said_with_how_much",
    ),
    53: _proved(
        "certbot reads our tree, and we its own",
        "certbot: test_ours_are_listed_and_deleted_ones_are_gone",
        "certbot: test_what_certbot_issued_is_shown_taken_over_and_renewed_by_us_alone",
        "lineage: test_certbot_lists_our_certificates_and_does_not_renew_them",
    ),
    54: Behaviour("pages of orders", why="nobody asks for the list of orders: each is kept by its URL"),
    55: _proved(
        "capitals, a dot at the end, doubles, 101 names, 64 characters",
        "order: test_names_are_asked_for_in_lower_case_and_once",
        "order: test_a_name_of_64_characters_needs_no_common_name",
        "order: test_more_names_than_the_authority_takes_are_its_to_refuse",
        "names: test_the_number_of_names_is_limited_by_the_profile",
    ),
    56: _proved("RSA and elliptic curves", "order: test_the_certificate_is_for_the_key_that_was_given"),
    57: _proved(
        "no secret in any log",
        "net: test_nothing_secret_is_ever_logged",
        "dns01: test_the_value_of_a_credential_is_in_no_output",
    ),
}


def _by(how: str, *tests: str) -> Produced:
    return Produced(how, tests)


_ANSWERED = "failures: test_what_the_web_server_answers_is_told_as_its_cause"
_LIMITED = "causes: test_what_an_authority_refuses_to_order_is_told_with_its_moment"
_LOOKED = "causes: test_what_only_a_public_authority_can_see_is_told_in_its_words"

CAUSES_PRODUCED: dict[str, Produced] = {
    "no_address": _by("authority", "failures: test_a_name_without_an_address"),
    "points_elsewhere": _by(
        "authority", _ANSWERED, "failures: test_a_web_server_that_answers_something_else_is_another_machine"
    ),
    "port_closed": _by("authority", "failures: test_a_port_where_nothing_answers"),
    "ipv6_elsewhere": _by("check", "public: test_another_machine_at_the_ipv6_address_is_an_error", _LOOKED),
    "ipv6_only": _by("authority", "failures: test_a_name_that_is_reached_by_ipv6_only"),
    "behind_cloudflare": _by(
        "authority", _ANSWERED, "public: test_cloudflare_in_front_is_said_whether_it_lets_the_token_through_or_not"
    ),
    "redirect_loop": _by("authority", _ANSWERED),
    "bad_redirect": _by(
        "authority", _ANSWERED, "public: test_a_redirect_to_another_port_or_protocol_is_an_error_that_shows_it"
    ),
    "path_shadowed": _by(
        "authority", _ANSWERED, "path: test_a_rule_of_the_server_hides_the_path_and_its_answer_is_said"
    ),
    "several_machines": _by(
        "check", "public: test_another_machine_at_the_second_of_two_addresses_is_an_error", _LOOKED
    ),
    "caa_forbids": _by(
        "front", "failures: test_a_refusal_by_caa_is_told_with_the_name", "caa: test_the_closest_parent_decides"
    ),
    "dns_broken": _by(
        "authority",
        "causes: test_signatures_that_only_the_authority_checks_are_told_in_its_words",
        "causes: test_name_servers_that_fail_are_met_before_anything_is_published",
        "issue: test_what_the_check_finds_stops_the_order_and_it_is_tried_again_by_itself",
        "addresses: test_servfail_and_wrong_signatures_are_errors",
    ),
    "private_address": _by(
        "check", "addresses: test_a_private_address_is_an_error_for_a_public_authority_only", _LOOKED
    ),
    "wildcard_needs_dns": _by("here", "order: test_a_wildcard_needs_the_dns_check"),
    "failure_limit": _by(
        "front",
        _LIMITED,
        "failures: test_a_limit_of_a_real_order_is_told_with_its_moment",
        "limits: test_five_failures_within_an_hour_are_an_error_of_that_name",
    ),
    "duplicate_limit": _by("front", _LIMITED, "limits: test_five_of_the_same_set_are_an_error_that_says_when_it_opens"),
    "domain_limit": _by("front", _LIMITED, "limits: test_fifty_of_one_domain_are_an_error_for_new_names_only"),
    "paused": _by("front", "failures: test_a_pause_is_told_with_the_page_that_ends_it"),
    "name_refused": _by("authority", "failures: test_names_that_the_authority_blocks_are_named"),
    "record_not_seen": _by("authority", "dns01: test_a_record_that_nobody_sees_fails_as_such_and_is_taken_away"),
    "dns_credential": _by(
        "here",
        "dns_order: test_a_key_without_rights_is_told_before_the_authority_is_asked_to_look",
        "dns01: test_a_provider_that_refuses_ends_the_order_before_the_authority_is_asked",
    ),
    "clock": _by(
        "front",
        "causes: test_an_authority_whose_certificate_is_not_valid_yet_is_a_matter_of_the_clock",
        "directory: test_a_clock_that_is_wrong_is_said_with_how_much",
    ),
    "authority_unreachable": _by(
        "authority",
        "net: test_an_authority_that_is_not_there_is_told",
        "net: test_an_authority_with_a_certificate_of_somebody_else_is_not_trusted",
        "resume: test_an_authority_that_dies_during_the_order_is_told_as_unreachable",
    ),
    "authority_busy": _by(
        "front", "net: test_an_authority_that_asks_for_more_patience_than_there_is_ends_with_the_moment"
    ),
    "nonce": _by("authority", "causes: test_an_authority_that_refuses_every_nonce_is_not_asked_for_ever"),
    "order_expired": _by("front", "resume: test_an_authorization_in_any_end_state_ends_the_order"),
    "account_gone": _by(
        "front",
        "account: test_an_account_that_keeps_being_refused_ends_the_job",
        "account: test_an_account_that_is_deactivated_at_the_authority_is_noticed",
    ),
    "external_account": _by("authority", "account: test_bad_values_of_a_binding_are_told_in_plain_words"),
    "blocked_places": _by("authority", _ANSWERED),
    "nginx_refused": _by("here", "renewal: test_nginx_that_refuses_the_new_one_goes_on_with_the_old_one"),
    "storage": _by(
        "here",
        "account: test_an_account_folder_that_cannot_be_written_is_told",
        "account: test_a_webroot_that_cannot_be_written_is_told_before_anything_is_answered",
        "storage: test_a_disk_that_takes_nothing_more_is_an_error",
    ),
    # Beyond the usual ones.
    "other_limit": _by("front", _LIMITED),
    "profile": _by("check", "directory: test_a_profile_must_be_one_that_it_offers"),
    "key_refused": _by(
        "authority",
        "failures: test_the_key_of_the_account_is_refused_as_that_of_a_certificate",
        "failures: test_a_short_key_is_refused",
    ),
    "action_required": _by("front", _LIMITED),
    "dns_provider": _by("here", "causes: test_a_provider_that_is_away_is_told_before_the_authority_looks"),
    "strange_answer": _by("front", "net: test_a_directory_that_is_none_is_told"),
    "bad_certificate": _by("front", "order: test_a_certificate_that_was_not_ordered_is_not_taken"),
    "no_challenge": _by(
        "front",
        "causes: test_a_name_that_the_authority_offers_no_such_check_for_is_told",
        "order: test_an_address_cannot_be_shown_by_dns",
    ),
    "slow": _by("here", "causes: test_what_takes_longer_than_a_question_may_is_told_as_slow"),
    "other": _by("front", "order: test_more_names_than_the_authority_takes_are_its_to_refuse"),
}
