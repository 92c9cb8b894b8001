// The palette (Ctrl K, /) and the keys of pages. What there is to find comes from the server; htmx fetches it.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const palette = $('#palette'), input = $('#palette-q'), list = $('#palette-list'), said = $('#palette-said'), shortcuts = $('#shortcuts');
  if (!palette) return;
  const options = () => $$('[role=option]', list);
  const asked = () => input.value.split(/\s+/).filter(Boolean).join(' ');
  const answered = () => list.firstElementChild?.dataset.query;
  let at = 0, goes = false;

  function open() {
    if (palette.open || $('dialog[open]')) return;
    palette.showModal();
    input.value = '';
    list.replaceChildren();
    ask();
  }
  function ask() { input.dispatchEvent(new CustomEvent('summon', { bubbles: true })); }

  function choose(index) {
    const all = options();
    at = Math.max(0, Math.min(index, all.length - 1));
    all.forEach((option, number) => option.setAttribute('aria-selected', number === at));
    if (!all.length) return input.removeAttribute('aria-activedescendant');
    input.setAttribute('aria-activedescendant', all[at].id);
    if (at) all[at].scrollIntoView({ block: 'nearest' }); else list.scrollTop = 0;
  }

  // A command that has a form on the page is given by it, with the questions that it asks.
  function go(option, elsewhere) {
    const url = option.dataset.url;
    if (elsewhere && !('post' in option.dataset)) return window.open(url, '_blank', 'noopener');
    palette.close();
    if (!('post' in option.dataset)) { location.href = url; return; }
    const button = $(`form[action="${url}"] button`);
    if (button) button.click(); else post(url);
  }
  function post(url) {
    const form = document.createElement('form'), token = document.createElement('input');
    Object.assign(form, { method: 'post', action: url });
    Object.assign(token, { type: 'hidden', name: 'csrf_token', value: JSON.parse(document.body.getAttribute('hx-headers:inherited'))['X-CSRFToken'] });
    form.append(token);
    document.body.append(form);
    form.requestSubmit();
  }

  // Who is faster than the answer goes where it leads as soon as it is here.
  function enter(elsewhere) {
    if (asked() !== answered()) { goes = true; ask(); return; }
    const option = options()[at];
    if (option) go(option, elsewhere);
  }
  function arrived() {
    if (asked() !== answered()) return;
    choose(0);
    said.textContent = list.firstElementChild.dataset.words;
    if (goes) { goes = false; enter(false); }
  }

  palette.addEventListener('close', () => { goes = false; said.textContent = ''; });
  palette.addEventListener('submit', (event) => event.preventDefault());
  input.addEventListener('input', () => { goes = false; });
  input.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    const moves = { ArrowDown: at + 1 < options().length ? at + 1 : 0, ArrowUp: at > 0 ? at - 1 : options().length - 1 };
    const ends = { Home: 0, End: options().length - 1 };
    // In the middle of a text Home and End belong to the text; with nothing typed they belong to the list.
    const target = moves[event.key] ?? (event.ctrlKey || !input.value ? ends[event.key] : undefined);
    if (target !== undefined && !event.altKey && !event.shiftKey) { event.preventDefault(); choose(target); }
    if (event.key === 'Enter') { event.preventDefault(); enter(event.ctrlKey || event.metaKey); }
  });
  list.addEventListener('mousedown', (event) => event.preventDefault()); // the focus stays in the field
  list.addEventListener('click', (event) => {
    const option = event.target.closest('[role=option]');
    if (option) go(option, event.ctrlKey || event.metaKey);
  });
  list.addEventListener('pointermove', (event) => {
    const index = options().indexOf(event.target.closest('[role=option]'));
    if (index >= 0 && index !== at && (event.movementX || event.movementY)) choose(index);
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-palette]')) { event.preventDefault(); open(); }
    if (event.target === palette || event.target.closest('[data-palette-close]')) palette.close();
    if (event.target.closest('#shortcuts a')) shortcuts.close();
  });
  document.addEventListener('htmx:after:swap', () => { if (palette.open) arrived(); });
  const failed = (event) => {
    if (!palette.open || event.detail.ctx?.sourceElement !== input) return;
    goes = false;
    const silent = 'The panel does not answer. Try again.';
    said.textContent = JSON.parse(document.body.dataset.words || '{}')[silent] || silent;
  };
  document.addEventListener('htmx:response:error', failed);
  document.addEventListener('htmx:error', failed);

  // ---- keys: Ctrl K always, single keys unless they were switched off, and never while somebody types ----
  const types = (element) => element instanceof Element && element.closest('input,textarea,select,[contenteditable=""],[contenteditable=true],[role=textbox],[role=combobox]');
  let first = '', firstAt = 0;
  document.addEventListener('keydown', (event) => {
    const key = event.key.toLowerCase();
    if (key === 'k' && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
      event.preventDefault();
      if (palette.open) palette.close(); else open();
      return;
    }
    if (!('on' in shortcuts.dataset) || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (event.defaultPrevented || types(event.target) || $('dialog[open]')) return;
    const before = Date.now() - firstAt < 1500 ? first : '';
    first = '';
    if (key === '/') { event.preventDefault(); open(); return; }
    if (key === '?') { event.preventDefault(); shortcuts.showModal(); return; }
    const known = (keys) => $$('[data-keys]', shortcuts).find((link) => link.dataset.keys === keys);
    const link = (before && known(`${before} ${key}`)) || known(key);
    if (link) { event.preventDefault(); location.href = link.href; } else if (key === 'g') { first = key; firstAt = Date.now(); }
  });
})();
