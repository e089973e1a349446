/**
 * Markup that is safe to insert into a page unescaped. Only `html` and `raw` make it. No template engine, because with
 * one the template decides what is escaped; with this class the type does.
 */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Content = Html | string | number | null | undefined | false | readonly Content[];

/** Template tag. Inserted values are escaped, except `Html`. Lists are joined. */
export function html(parts: TemplateStringsArray, ...values: Content[]): Html {
  return new Html(parts.map((part, i) => (i === 0 ? '' : escaped(values[i - 1])) + part).join(''));
}

/** Marks text as safe. Only for markup that this program made. */
export const raw = (text: string): Html => new Html(text);

function escaped(value: Content): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return '';
  if (typeof value === 'string') return escapeText(value);
  if (typeof value === 'number') return String(value);
  return value.map(escaped).join('');
}

/** Escapes for text and quoted attributes. Control characters and bidirectional overrides are replaced by U+FFFD. */
export function escapeText(text: string): string {
  return (
    text
      // eslint-disable-next-line no-control-regex -- exactly these are to be replaced
      .replace(/[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]/g, '\ufffd')
      .replace(/[&<>"'`]/g, (c) => `&#${c.charCodeAt(0)};`)
  );
}

/**
 * A link to a file of the release. Only relative paths inside its directory become links: the page is opened from disk,
 * where a link could lead to any file.
 */
export function fileLink(path: string): Html {
  const segments = path.split('/');
  const inside =
    !path.includes('\\') &&
    segments.every((s) => s !== '' && s !== '..' && s !== '.') &&
    !/^[a-z][a-z0-9+.-]*:/i.test(path);
  if (!inside) return html`<code>${path}</code>`;
  const href = segments.map((segment) => encodeURIComponent(segment.toWellFormed())).join('/');
  const label = path.replace(/^evidence\//, '');
  return html`<a href="${href}">${label}</a>`;
}
