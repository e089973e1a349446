import { call, element, find } from './api.js';
import { summaryPills } from './edition.js';

let open;

function card(lesson) {
  const done = lesson.bestScore ?? 0;
  const start = element('button', { type: 'button', textContent: done === 100 ? 'Again' : 'Start' });
  start.setAttribute('aria-label', `${start.textContent}: ${lesson.title}`);
  start.addEventListener('click', () => void show(lesson.id));
  const bar = element('progress', { max: 100, value: done });
  bar.setAttribute('aria-label', `Best score for ${lesson.title}`);
  return element(
    'li',
    { className: 'card' },
    element('h3', { textContent: lesson.title }),
    element('p', { textContent: lesson.summary }),
    bar,
    element('div', { className: 'foot' }, element('small', { textContent: done ? `Best ${done} of 100` : 'Not tried yet' }), start),
  );
}

async function show(id) {
  open = await call('GET', `/api/lessons/${encodeURIComponent(id)}`);
  find('lesson-title').textContent = open.title;
  find('lesson-body').textContent = open.body;
  find('question').textContent = open.question;
  find('verdict').textContent = '';
  find('options').replaceChildren(
    ...open.options.map((option, i) =>
      element('label', {}, element('input', { type: 'radio', name: 'answer', value: String(i), required: true }), option),
    ),
  );
  find('lesson').showModal();
}

async function answer(event) {
  event.preventDefault();
  const chosen = Number(new FormData(event.target).get('answer'));
  try {
    const { right } = await call('POST', '/api/progress', { lessonId: open.id, answer: chosen, key: crypto.randomUUID() });
    find('verdict').textContent = right ? 'Right. Well thought.' : 'Not quite. Read it once more and try again.';
    await showLessons();
  } catch (error) {
    find('verdict').textContent = error.message;
  }
}

/** Lists the lessons, and for somebody who is signed in what is done of them. */
export async function showLessons() {
  const { lessons } = await call('GET', '/api/lessons');
  find('cards').replaceChildren(...lessons.map(card));
  const progress = find('account').hidden ? undefined : await call('GET', '/api/progress');
  find('summary').replaceChildren(
    ...(progress ? summaryPills(progress, lessons.length) : []).map((text) =>
      element('span', { className: 'pill', textContent: text }),
    ),
  );
}

async function search(event) {
  event.preventDefault();
  const wanted = find('q').value.trim();
  if (!wanted) {
    find('found').textContent = '';
    return showLessons();
  }
  const { lessons } = await call('GET', `/api/search?q=${encodeURIComponent(wanted)}`);
  find('found').textContent = lessons.length === 1 ? '1 lesson found' : `${lessons.length} lessons found`;
  find('cards').replaceChildren(...lessons.map(card));
  find('lessons').scrollIntoView();
}

export function startLessons() {
  find('quiz').addEventListener('submit', (event) => void answer(event));
  find('close').addEventListener('click', () => find('lesson').close());
  find('search').addEventListener('submit', (event) => void search(event));
}
