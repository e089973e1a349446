import { call, element, find } from './api.js';
import { preferenceFields } from './edition.js';
import { showLessons } from './lessons.js';

const say = (text) => (find('notice').textContent = text);

/** Runs what a form or a button asks for; what goes wrong is told beside it. */
const on = (id, type, work) =>
  find(id).addEventListener(type, (event) => {
    event.preventDefault();
    say('');
    work(event).catch((error) => say(error.message));
  });

function field({ name, label, choices }, value) {
  const select = element(
    'select',
    { name },
    ...choices.map(([key, text]) => element('option', { value: String(key), textContent: text, selected: key === value })),
  );
  return element('label', {}, label, select);
}

async function showPreferences() {
  const saved = await call('GET', '/api/preferences');
  find('preferences').replaceChildren(
    ...preferenceFields.map((one) => field(one, saved[one.name])),
    element('div', { className: 'row' }, element('button', { textContent: 'Save preferences' })),
  );
  document.documentElement.dataset.theme = saved.theme;
}

async function showChat() {
  const { messages } = find('account').hidden ? { messages: [] } : await call('GET', '/api/chat');
  const hello = [{ author: 'coach', body: 'Hello! Ask me about budgets, debts, interest, inflation or coins.' }];
  find('messages').replaceChildren(
    ...(messages.length ? messages : hello).map(({ author, body }) => element('li', { className: author, textContent: body })),
  );
  find('messages').scrollTop = find('messages').scrollHeight;
}

/** Shows the page for whoever is signed in now. */
export async function showYou() {
  const { name } = await call('GET', '/api/session');
  find('who').textContent = name ? `Hello, ${name}` : 'Not signed in';
  find('account').hidden = name === null;
  find('sign-in').hidden = name !== null;
  if (name === null) delete document.documentElement.dataset.theme;
  else await showPreferences();
  await Promise.all([showLessons(), showChat()]);
}

async function signIn(event) {
  const { email, password, name } = Object.fromEntries(new FormData(event.target));
  if (event.submitter?.value === 'join') await call('POST', '/api/accounts', { email, password, name: name || email.split('@')[0] });
  else await call('POST', '/api/login', { email, password });
  event.target.reset();
  await showYou();
}

async function save(event) {
  const chosen = Object.fromEntries(new FormData(event.target));
  const values = preferenceFields.map(({ name, number }) => [name, number ? Number(chosen[name]) : chosen[name]]);
  await call('PATCH', '/api/preferences', { ...Object.fromEntries(values), key: crypto.randomUUID() });
  await showPreferences();
  say('Saved.');
}

async function ask(event) {
  const message = new FormData(event.target).get('message');
  if (find('account').hidden) throw new Error('Please sign in to talk to the coach.');
  await call('POST', '/api/chat', { message, key: crypto.randomUUID() });
  event.target.reset();
  await showChat();
}

async function erase() {
  if (!confirm('This erases your account with everything in it. It cannot be undone.')) return;
  await call('DELETE', '/api/account');
  await showYou();
  say('Your account is gone.');
}

async function logOut() {
  await call('POST', '/api/logout');
  await showYou();
}

export function startYou() {
  on('sign-in', 'submit', signIn);
  on('preferences', 'submit', save);
  on('chat', 'submit', ask);
  on('logout', 'click', logOut);
  on('erase', 'click', erase);
}
