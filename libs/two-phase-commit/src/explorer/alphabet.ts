// One letter for each distinct value, so that a state of a world becomes a short string that can be compared and stored.

/** What no rule of the protocol looks at, and what the fingerprint stands for: states that differ only here are one state. */
const OMITTED: ReadonlySet<string> = new Set(['why', 'replayed', 'createdAtMs', 'decidedAtMs', 'body']);

/** Writes a value as text, without the fields that nothing depends on. Two values with the same text behave the same. */
export function textOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(textOf).join()}]`;
  let text = '{';
  for (const [key, part] of Object.entries(value)) {
    if (part !== undefined && !OMITTED.has(key)) text += `${key}:${textOf(part)},`;
  }
  return `${text}}`;
}

/**
 * Gives every distinct value a letter, and the value back for its letter.
 *
 * Values are compared by their text and must never be changed. The first value that came stands for all equal ones.
 */
export class Alphabet<Value extends object> {
  readonly #letters = new Map<string, string>();
  readonly #values: Value[] = [];
  readonly #seen = new WeakMap<Value, string>();

  letterOf(value: Value): string {
    const seen = this.#seen.get(value);
    if (seen !== undefined) return seen;
    const text = textOf(value);
    let letter = this.#letters.get(text);
    if (letter === undefined) {
      if (this.#values.length > 0xffff) throw new Error('the alphabet is used up: the world is too large for the explorer');
      letter = String.fromCharCode(this.#values.length);
      this.#letters.set(text, letter);
      this.#values.push(value);
    }
    this.#seen.set(value, letter);
    return letter;
  }

  /** The value that stands for all that equal this one. */
  canonical(value: Value): Value {
    return this.valueOf(this.letterOf(value));
  }

  valueOf(letter: string): Value {
    const value = this.#values[letter.charCodeAt(0)];
    if (value === undefined) throw new Error('a letter of another alphabet');
    return value;
  }
}

/** The set `word`, a sorted string of letters, with one more letter. */
export function withLetter(word: string, letter: string): string {
  if (word.includes(letter)) return word;
  let at = 0;
  while (at < word.length && word.charAt(at) < letter) at += 1;
  return word.slice(0, at) + letter + word.slice(at);
}
