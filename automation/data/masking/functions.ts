import { createHash } from 'node:crypto';
import type { MaskKind } from './rules.ts';

/**
 * The masks, as functions of the session's temporary schema: they end with it and leave nothing in the catalog. They read
 * the key from a setting of the transaction. Those of one expression are inlined by the planner, which is why they are
 * neither strict nor immutable.
 */

/** Name of the setting that holds the key. */
export const keySetting = 'greenlight.mask';

/** The key of the masks, made of a secret of any form: as long as a block of SHA-256. */
export const keyOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

const key = `current_setting('${keySetting}')`;
const create = (name: string, parameters: string, returns: string, language: string, body: string): string =>
  `CREATE FUNCTION pg_temp.${name}(${parameters}) RETURNS ${returns} LANGUAGE ${language} STABLE PARALLEL SAFE AS $f$ ${body} $f$`;
const mask = (kind: MaskKind, body: string): string =>
  create(`gl_${kind}`, 'v text, room int', 'text', 'sql', `SELECT ${body}`);
const steps = (name: string, parameters: string, body: string, returns = 'text'): string =>
  create(name, parameters, returns, 'plpgsql', body);

/** Nothing is personal in an empty string, and applications treat it as "none". */
const unlessEmpty = (masked: string): string => `CASE WHEN v = '' THEN v ELSE ${masked} END`;

/**
 * Values that differ in case alone get masks that differ in case alone. So joins and unique indexes hold, whether they
 * look at the case or not.
 */
const inCase = (masked: string): string =>
  unlessEmpty(`CASE WHEN v = lower(v) THEN ${masked} ELSE pg_temp.gl_case(${masked}, v) END`);

/** 256 syllables, such as `ban`, for the values of a byte. */
const syllables = [...'bdfghjklmnprstvw']
  .flatMap((first) => [...'aeio'].flatMap((second) => [...'lnrs'].map((third) => first + second + third)))
  .join('');
// Seven bytes: enough for a unique column of many million rows. As bytes, because a text is walked from its beginning.
const syllable = (at: number): string => `substr('${syllables}'::bytea, 1 + 3 * get_byte(k, ${at}), 3)`;
const letters = `encode(${[0, 1].map(syllable).join(' || ')} || ' '::bytea || ${[2, 3, 4, 5, 6].map(syllable).join(' || ')}, 'escape')`;

/** All digits of a text. */
const digitsOf = (v: string): string => `translate(${v}, translate(${v}, '0123456789', ''), '')`;

/** A number below 2^56 from 7 bytes of a keyed hash. */
const number = (of: string): string => `('x' || encode(substr(pg_temp.gl_key(${of}), 1, 7), 'hex'))::bit(56)::bigint`;

export const functions: readonly string[] = [
  create('gl_key', 'v text', 'bytea', 'sql', `SELECT sha256(convert_to(${key} || ':' || v, 'UTF8'))`),
  create('gl_hex', 'v text', 'text', 'sql', `SELECT encode(pg_temp.gl_key(lower(v)), 'hex')`),
  // Which letters become capitals in each half, the value as it is written decides.
  steps(
    'gl_case',
    'm text, v text',
    `DECLARE h text := encode(pg_temp.gl_key('case:' || v), 'hex'); r text; half int := length(m) / 2;
       a text := left(h, 11) || translate(substr(h, 12, 11), '0123456789abcdef', 'ghijklmnopqrstuv');
       b text := substr(h, 23, 11) || translate(substr(h, 34, 11), '0123456789abcdef', 'ghijklmnopqrstuv');
     BEGIN
       r := translate(left(m, half), a, upper(a)) || translate(substr(m, half + 1), b, upper(b));
       RETURN CASE WHEN r = m THEN upper(m) ELSE r END;
     END`,
  ),
  // The domains are reserved (RFC 2606): nobody can get such a mail.
  mask(
    'email',
    inCase(
      `CASE WHEN room >= 37 THEN 'user-' || left(pg_temp.gl_hex(v), 16) || '@example.invalid' ELSE left(pg_temp.gl_hex(v), room - 10) || '@x.invalid' END`,
    ),
  ),
  mask('hash', inCase('left(pg_temp.gl_hex(v), least(room, 64))')),
  mask(
    'text',
    unlessEmpty(
      `left(encode(pg_temp.gl_key(v), 'hex') || repeat(' lorem ipsum', length(v) / 12 + 1), least(room, greatest(16, length(v))))`,
    ),
  ),
  steps(
    'gl_name',
    'v text, room int',
    `DECLARE k bytea := pg_temp.gl_key(lower(v)); m text;
     BEGIN
       IF v = '' THEN RETURN v; END IF;
       m := left(${letters}, room);
       RETURN CASE WHEN v = initcap(v) THEN initcap(m) WHEN v = lower(v) THEN m WHEN v = upper(v) THEN upper(m)
         ELSE pg_temp.gl_case(m, v) END;
     END`,
  ),
  // A keyed permutation (four rounds of a Feistel network): no two numbers of one length get the same mask.
  steps(
    'gl_permute',
    'd text',
    `DECLARE n int := length(d); h int := n / 2; a bigint; b bigint; ma bigint; mb bigint;
     BEGIN
       IF n = 0 THEN RETURN d; END IF;
       IF n > 34 THEN RETURN pg_temp.gl_permute(left(d, 34)) || pg_temp.gl_permute(substr(d, 35)); END IF;
       IF n = 1 THEN RETURN ((d::int + 1 + ${number("'1'")} % 9) % 10)::text; END IF;
       ma := ('1' || repeat('0', h))::bigint; mb := ('1' || repeat('0', n - h))::bigint;
       a := left(d, h)::bigint; b := substr(d, h + 1)::bigint;
       a := (a + ${number("n || 'a:' || b")}) % ma;
       b := (b + ${number("n || 'b:' || a")}) % mb;
       a := (a + ${number("n || 'c:' || b")}) % ma;
       b := (b + ${number("n || 'd:' || a")}) % mb;
       RETURN lpad(a::text, h, '0') || lpad(b::text, n - h, '0');
     END`,
  ),
  // Puts digits back to where they stood between other characters.
  steps(
    'gl_layout',
    'v text, d text',
    `DECLARE r text := ''; rest text := v; at int := 1; n int;
     BEGIN
       IF v !~ '[0-9][^0-9]+[0-9]' AND v ~ '[0-9]$' THEN RETURN left(v, length(v) - length(d)) || d; END IF;
       WHILE at <= length(d) LOOP
         n := position('0' in translate(rest, '123456789', '000000000'));
         r := r || left(rest, n - 1);
         rest := substr(rest, n);
         n := length(rest) - length(ltrim(rest, '0123456789'));
         r := r || substr(d, at, n);
         rest := substr(rest, n + 1);
         at := at + n;
       END LOOP;
       RETURN r || rest;
     END`,
  ),
  // A value without these digits would stay as it is: letters, or digits of another script.
  mask(
    'digits',
    `CASE WHEN v ~ '[0-9]' THEN pg_temp.gl_layout(v, pg_temp.gl_permute(${digitsOf('v')})) ELSE pg_temp.gl_hash(v, length(v)) END`,
  ),
  // The first digit stays, so that no number gets shorter. What fits into an integer of 2, 4 or 8 bytes has a mask that does: the
  // permutation is repeated until it is on the same side of that limit, which it is at the latest where it began.
  steps(
    'gl_number',
    'v text',
    `DECLARE d text := ${digitsOf('v')}; r text := d; most numeric := CASE length(d) WHEN 5 THEN 32767 WHEN 10 THEN 2147483647 WHEN 19 THEN 9223372036854775807.0 END + (v LIKE '-%')::int;
     BEGIN
       LOOP
         r := CASE WHEN length(r) = 1 THEN pg_temp.gl_permute(r) ELSE left(r, 1) || pg_temp.gl_permute(substr(r, 2)) END;
         EXIT WHEN most IS NULL OR (r::numeric <= most) = (d::numeric <= most);
       END LOOP;
       RETURN pg_temp.gl_layout(v, r);
     END`,
  ),
  // The first digit, which names the brand, stays; the last one is that of Luhn.
  steps(
    'gl_card',
    'v text, room int',
    `DECLARE d text := ${digitsOf('v')}; n int := length(d); sum int := 0; c int;
     BEGIN
       IF n < 3 THEN RETURN pg_temp.gl_digits(v, room); END IF;
       d := left(d, 1) || pg_temp.gl_permute(substr(d, 2, n - 2));
       FOR i IN 1..n - 1 LOOP
         c := substr(d, n - i, 1)::int * (1 + i % 2);
         sum := sum + c / 10 + c % 10;
       END LOOP;
       RETURN pg_temp.gl_layout(v, d || (10 - sum % 10) % 10);
     END`,
  ),
  // Country, letters and spaces stay; the two check digits are those of ISO 7064.
  steps(
    'gl_iban',
    'v text, room int',
    `DECLARE plain text := upper(regexp_replace(v, '[^0-9A-Za-z]', '', 'g')); tail text; whole text := ''; rest numeric;
     BEGIN
       IF plain !~ '^[A-Z]{2}[0-9]{2}[0-9A-Z]+$' THEN RETURN pg_temp.gl_digits(v, room); END IF;
       tail := substr(plain, 5);
       tail := pg_temp.gl_layout(tail, pg_temp.gl_permute(${digitsOf('tail')}));
       FOR i IN 1..length(tail) + 2 LOOP
         whole := whole || CASE WHEN substr(tail || left(plain, 2), i, 1) ~ '[0-9]' THEN substr(tail || left(plain, 2), i, 1)
           ELSE (ascii(substr(tail || left(plain, 2), i, 1)) - 55)::text END;
       END LOOP;
       rest := 98 - (whole || '00')::numeric % 97;
       RETURN pg_temp.gl_layout(v, lpad(rest::text, 2, '0') || ${digitsOf('tail')});
     END`,
  ),
  // 10.0.0.0/8 (RFC 1918) and fd00::/8 (RFC 4193) belong to nobody.
  mask(
    'ip',
    unlessEmpty(`CASE WHEN v LIKE '%:%' THEN regexp_replace('fd' || left(pg_temp.gl_hex(split_part(v, '/', 1)), 30), '(....)(?=.)', '\\1:', 'g')
      ELSE '10.' || get_byte(pg_temp.gl_key(split_part(v, '/', 1)), 0) || '.' || get_byte(pg_temp.gl_key(split_part(v, '/', 1)), 1) || '.' || get_byte(pg_temp.gl_key(split_part(v, '/', 1)), 2) END
      || substr(v, length(split_part(v, '/', 1)) + 1)`),
  ),
  // Locally administered, so that it is nobody's.
  create(
    'gl_mac',
    'v text',
    'text',
    'sql',
    `SELECT '02' || substr(pg_temp.gl_hex(v), 1, length(regexp_replace(v, '[^0-9a-fA-F]', '', 'g')) - 2)`,
  ),
  // Version and variant stay.
  steps(
    'gl_uuid',
    'v text',
    `DECLARE m text := left(pg_temp.gl_hex(v), 32)::uuid::text;
     BEGIN RETURN overlay(overlay(m placing substr(v, 15, 1) from 15) placing substr(v, 20, 1) from 20); END`,
  ),
  create(
    'gl_bytes',
    'v bytea',
    'bytea',
    'sql',
    `SELECT substr(pg_temp.gl_key(encode(v, 'hex')), 1, least(32, greatest(16, length(v))))`,
  ),
  // Days or seconds by which a time is moved back, below `span`. Never forward: a birth stays in the past.
  create('gl_back', 'v numeric, span int', 'int', 'sql', `SELECT (1 + ${number('v::text')} % (span - 1))::int`),
  steps(
    'gl_any',
    'kind text, v text, room int',
    `BEGIN
       CASE kind ${(['email', 'name', 'hash', 'text', 'digits', 'card', 'iban', 'ip'] as const).map((kind) => `WHEN '${kind}' THEN RETURN pg_temp.gl_${kind}(v, room);`).join(' ')} END CASE;
     END`,
  ),
  steps(
    'gl_each',
    'v text[], kind text, room int',
    `DECLARE r text[] := v;
     BEGIN
       IF array_ndims(v) > 1 THEN RAISE 'it has arrays of several dimensions' USING ERRCODE = '22000'; END IF;
       FOR i IN coalesce(array_lower(v, 1), 1)..coalesce(array_upper(v, 1), 0) LOOP
         IF v[i] IS NOT NULL THEN r[i] := pg_temp.gl_any(kind, v[i], room); END IF;
       END LOOP;
       RETURN r;
     END`,
    'text[]',
  ),
  // An array stands for each of its elements. At the end of the path every string is masked, a number that is the value itself, and
  // keys that are addresses. A key with dots takes as many steps of the path.
  steps(
    'gl_json',
    'v jsonb, path text[], kind text, room int, only_text boolean',
    `DECLARE k text; r jsonb := v; n int; whole boolean := cardinality(path) = 0;
     BEGIN
       CASE jsonb_typeof(v)
       WHEN 'array' THEN
         RETURN coalesce((SELECT jsonb_agg(pg_temp.gl_json(e, CASE WHEN path[1] = '*' THEN path[2:] ELSE path END, kind, room, only_text) ORDER BY at)
           FROM jsonb_array_elements(v) WITH ORDINALITY AS t (e, at)), v);
       WHEN 'object' THEN
         FOR k IN SELECT jsonb_object_keys(v) LOOP
           n := CASE WHEN path[1] = '*' THEN 1 ELSE 1 + length(k) - length(replace(k, '.', '')) END;
           IF whole OR path[1] = '*' OR array_to_string(path[1:n], '.') = k THEN
             IF whole AND k LIKE '%@%' THEN r := r - k; END IF;
             r := r || jsonb_build_object(
               CASE WHEN whole AND k LIKE '%@%' THEN pg_temp.gl_email(k, CASE kind WHEN 'email' THEN room ELSE 37 END) ELSE k END,
               pg_temp.gl_json(v -> k, path[n + 1:], kind, room, only_text OR whole));
           END IF;
         END LOOP;
         RETURN r;
       WHEN 'string' THEN
         RETURN CASE WHEN NOT whole THEN v WHEN kind = 'null' THEN 'null' ELSE to_jsonb(pg_temp.gl_any(kind, v #>> '{}', room)) END;
       WHEN 'number' THEN
         RETURN CASE WHEN NOT whole OR only_text THEN v WHEN kind = 'null' THEN 'null' ELSE to_jsonb(pg_temp.gl_number(v #>> '{}')::numeric) END;
       ELSE RETURN v;
       END CASE;
     END`,
    'jsonb',
  ),
];
