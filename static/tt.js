// Lets htmx, and nothing else, turn the server's HTML into elements: scripts inside swapped HTML never run.
if (window.trustedTypes) {
  const policy = trustedTypes.createPolicy('htmx', { createHTML: (html) => html, createScript: () => '' });
  htmx.registerExtension('tt', { init(api) { api.initSecurity(policy); } });
}
