/** Calls the api; throws an Error whose message is for the user. */
export async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      ...(method === 'POST' || method === 'PATCH'
        ? { body: JSON.stringify(body ?? {}), headers: { 'content-type': 'application/json' } }
        : {}),
    });
  } catch {
    throw new Error('There is no connection. Please try again.');
  }
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `Something went wrong (${response.status}).`);
  return answer;
}

/** An element with text or children. Never HTML: what users typed stays text. */
export function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

export const find = (id) => document.getElementById(id);
