// Makes a value fit for a log: without secrets, without bytes, and no deeper or longer than a line should be.

const SECRET_FIELD = /(?:password|passwd|token|grant|authorization|key|secret)s?$/;
// A refresh token: a session's id, a number, and a mac.
const SECRET_TEXT = /\bBearer\s+\S+|(?<![\w-])[\w-]{22}\.\d{1,9}\.[\w-]{43}(?![\w-])|\beyJ[\w-]+\.[\w-]+\.[\w-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gi;
const DEPTH_MAX = 6;
const ITEMS_MAX = 100;
const TEXT_CHARS_MAX = 8_192;

/** Without blank and dot no text matches. */
const MAY_BE_SECRET = /[.\s]/;
/** Texts such as methods and peers are few and come again and again. */
const CLEAN_TEXTS_MAX = 1_000;
const CLEAN_TEXT_CHARS_MAX = 256;
const cleanTexts = new Set<string>();

/** Whether a field is named after a secret: `password`, `accessToken`, `grants`. */
export function isSecretField(field: string): boolean {
  return SECRET_FIELD.test(field.toLowerCase());
}

/**
 * A copy of a value without the fields that are named after secrets, at any depth. Bearer tokens, JSON web tokens, refresh tokens and private keys
 * inside texts are blotted out, bytes become their length, bigints text.
 *
 * @param depth Of the value in the line; what is deeper than 6 is left out.
 */
export function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEPTH_MAX) return '[deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value.toJSON();
  if (isError(value)) return redactError(value, depth);
  if (Array.isArray(value)) {
    const items = value.slice(0, ITEMS_MAX).map((item) => redactValue(item, depth + 1));
    return value.length > ITEMS_MAX ? [...items, `[${value.length - ITEMS_MAX} more]`] : items;
  }
  return redactObject(value, depth);
}

function redactObject(value: object, depth: number): unknown {
  const fields: Record<string, unknown> = {};
  for (const field of Object.keys(value)) {
    if (!isSecretField(field)) fields[field] = redactValue((value as Record<string, unknown>)[field], depth + 1);
  }
  return fields;
}

/** Name, message and stack of an error are not enumerable, so they are named here. */
function redactError(error: Error, depth: number): unknown {
  const { name, message, stack, cause } = error;
  return {
    ...(redactObject(error, depth) as object),
    name,
    message: redactText(message),
    ...(stack === undefined ? {} : { stack: redactText(stack) }),
    ...(cause === undefined ? {} : { cause: redactValue(cause, depth + 1) }),
  };
}

/** Also cuts what is longer than a line should be. */
export function redactText(text: string): string {
  if (text.length <= TEXT_CHARS_MAX && (!MAY_BE_SECRET.test(text) || cleanTexts.has(text))) return text;
  const clipped = text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)}…`;
  const clean = clipped.replace(SECRET_TEXT, '[redacted]');
  if (clean === text && text.length <= CLEAN_TEXT_CHARS_MAX) {
    if (cleanTexts.size >= CLEAN_TEXTS_MAX) cleanTexts.clear();
    cleanTexts.add(text);
  }
  return clean;
}

/** Errors of Node's core are not `instanceof Error` in another realm. */
function isError(value: object): value is Error {
  return value instanceof Error || ('stack' in value && 'message' in value && 'name' in value);
}
