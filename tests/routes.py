"""Every address of the panel: the lowest role that may use it, by method. A route that is not here fails the tests.
May import: nothing. Used by tests.test_house (none lost or gained unseen) and tests/panel/web/test_roles.py (calls).

Roles include those before them: anyone, viewer, operator, administrator. A GET for operators is a form.
"""

ROUTES = """
/ GET:viewer
/.well-known/waypost GET:anyone
/account GET:viewer POST:viewer
/account/identities POST:viewer
/account/identities/<int:identity_id>/unlink POST:viewer
/account/second-factor GET:viewer POST:viewer
/account/second-factor/confirm POST:viewer
/account/second-factor/recovery-codes POST:viewer
/account/second-factor/turn-off POST:viewer
/account/sessions/<int:session_id>/end POST:viewer
/account/sessions/end-others POST:viewer
/account/shortcuts POST:viewer
/agents GET:viewer
/agents/<agent_id> GET:viewer
/agents/<agent_id>/apply POST:operator
/agents/<agent_id>/check POST:operator
/agents/<agent_id>/healing POST:operator
/agents/<agent_id>/join-command POST:administrator
/agents/<agent_id>/labels POST:administrator
/agents/<agent_id>/put-back POST:operator
/agents/<agent_id>/reload POST:operator
/agents/<agent_id>/revoke POST:administrator
/agents/new GET:administrator POST:administrator
/audit GET:viewer
/audit.csv GET:viewer
/audit/<int:event_id> GET:viewer
/audit/<int:event_id>/undo POST:operator
/certificates GET:viewer
/certificates/<int:certificate_id> GET:viewer
/certificates/<int:certificate_id>/delete POST:operator
/certificates/<int:certificate_id>/edit GET:operator POST:operator
/certificates/<int:certificate_id>/pause POST:operator
/certificates/<int:certificate_id>/renew POST:operator
/certificates/<int:certificate_id>/replace GET:operator POST:operator
/certificates/<int:certificate_id>/resume POST:operator
/certificates/<int:certificate_id>/revoke POST:operator
/certificates/<int:certificate_id>/take-over GET:operator POST:operator
/certificates/<int:certificate_id>/try-on-staging POST:operator
/certificates/<int:certificate_id>/use POST:operator
/certificates/bulk POST:operator
/certificates/check POST:operator
/certificates/new GET:operator POST:operator
/certificates/upload GET:operator POST:operator
/changes GET:viewer
/changes/apply POST:operator
/containers GET:viewer
/containers/accept POST:operator
/first-steps/hide POST:viewer
/first-steps/show POST:viewer
/healthz GET:anyone
/hosts GET:viewer
/hosts/<int:host_id> GET:viewer
/hosts/<int:host_id>/check-upstream POST:operator
/hosts/<int:host_id>/delete POST:operator
/hosts/<int:host_id>/disable POST:operator
/hosts/<int:host_id>/edit GET:operator POST:operator
/hosts/<int:host_id>/enable POST:operator
/hosts/<int:host_id>/quick GET:operator POST:operator
/hosts/<int:host_id>/request-ssl POST:operator
/hosts/<int:host_id>/restore POST:operator
/hosts/<int:host_id>/row GET:viewer
/hosts/<int:host_id>/test POST:operator
/hosts/<int:host_id>/versions/<int:event_id> POST:operator
/hosts/bulk POST:operator
/hosts/bulk/undo POST:operator
/hosts/check-field POST:operator
/hosts/check-names POST:operator
/hosts/check-upstream POST:operator
/hosts/new GET:operator POST:operator
/hosts/preview POST:operator
/hosts/test POST:operator
/invite GET:anyone POST:anyone
/jobs GET:viewer
/jobs/<command_id> GET:viewer
/jobs/<command_id>/cancel POST:operator
/jobs/<command_id>/output.txt GET:viewer
/jobs/<command_id>/request POST:operator
/jobs/<command_id>/retry POST:operator
/jobs/<command_id>/stream GET:viewer
/jobs/<command_id>/try-on-staging POST:operator
/language POST:anyone
/live GET:viewer
/login GET:anyone POST:anyone
/login/code GET:anyone POST:anyone
/login/provider GET:anyone
/login/provider/answer GET:anyone
/logout POST:viewer
/metrics GET:anyone
/networks GET:viewer
/networks/attach POST:operator
/networks/detach POST:operator
/palette GET:viewer
/search GET:viewer
/settings GET:viewer
/settings/authorities GET:viewer
/settings/authorities/<int:authority_id> GET:administrator POST:administrator
/settings/authorities/<int:authority_id>/default POST:administrator
/settings/authorities/<int:authority_id>/delete POST:administrator
/settings/authorities/fallbacks POST:administrator
/settings/authorities/new GET:administrator POST:administrator
/settings/dns GET:viewer
/settings/dns/<int:credential_id> GET:administrator POST:administrator
/settings/dns/<int:credential_id>/delete POST:administrator
/settings/dns/<int:credential_id>/test POST:administrator
/settings/dns/new GET:administrator POST:administrator
/settings/notifications GET:viewer
/settings/notifications/<int:channel_id> GET:administrator POST:administrator
/settings/notifications/<int:channel_id>/delete POST:administrator
/settings/notifications/<int:channel_id>/disable POST:administrator
/settings/notifications/<int:channel_id>/enable POST:administrator
/settings/notifications/<int:channel_id>/test POST:administrator
/settings/notifications/new GET:administrator POST:administrator
/settings/publish GET:administrator POST:administrator
/setup GET:anyone POST:anyone
/static/<path:filename> GET:anyone
/static/scripts.js GET:anyone
/theme POST:anyone
/users GET:administrator
/users/<int:user_id> GET:administrator
/users/<int:user_id>/disable POST:administrator
/users/<int:user_id>/enable POST:administrator
/users/<int:user_id>/end-sessions POST:administrator
/users/<int:user_id>/reset-second-factor POST:administrator
/users/<int:user_id>/role POST:administrator
/users/invitations/<int:invitation_id>/take-back POST:administrator
/users/invite GET:administrator POST:administrator
"""
