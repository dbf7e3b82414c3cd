// Makes the two forms of a log line, JSON and the readable one, in one pass and without secrets.
import { isSecretField, redactText, redactValue } from './redact.ts';

export interface Entry {
  readonly atMs: number;
  readonly level: string;
  readonly service: unknown;
  readonly message: unknown;
  /** Those named as the other four are left out. Made when the line is. */
  readonly fields: () => Readonly<Record<string, unknown>>;
}

/** Both with the end of the line. */
export interface Line {
  json: string;
  readable: string;
}

/** @param colour Whether the readable form is for a terminal that shows colours; undefined when nobody wants it. */
export function writeLine(entry: Entry, colour: boolean | undefined): Line {
  try {
    return lineOf(entry, colour);
  } catch (error) {
    // Nobody is left who could be told.
    return lineOf({ ...entry, message: 'a line could not be logged', fields: () => ({ reason: error instanceof Error ? error.name : typeof error }) }, colour);
  }
}

function lineOf({ atMs, level, service, message, fields }: Entry, colour: boolean | undefined): Line {
  const timestamp = isoTime(atMs);
  const line: Line = { json: `{"timestamp":"${timestamp}","level":"${level}"`, readable: '' };
  if (colour !== undefined) line.readable = `${timestamp.slice(11, 23)} ${paint(colour, COLOURS[level] ?? 39, level.padEnd(5))}`;
  addValue(line, { json: ',"service":', readable: ' ' }, service);
  addValue(line, { json: ',"message":', readable: ' ' }, message);
  const known = fields();
  for (const field of Object.keys(known)) {
    const name = nameOf(field, colour === true);
    if (name !== undefined) addValue(line, name, known[field]);
  }
  line.json += '}\n';
  line.readable += '\n';
  return line;
}

function addValue(line: Line, name: Line, value: unknown): void {
  switch (typeof value) {
    case 'string': {
      const text = redactText(value);
      line.json += name.json + quoted(text);
      line.readable += name.readable + text;
      return;
    }
    case 'number':
      line.json += name.json + (Number.isFinite(value) ? value : 'null');
      line.readable += name.readable + value;
      return;
    case 'undefined':
    case 'function':
    case 'symbol':
      return;
    case 'boolean':
    case 'bigint':
    case 'object': {
      const clean = redactValue(value, 1);
      const json = JSON.stringify(clean);
      line.json += name.json + json;
      line.readable += name.readable + readableText(clean, json);
    }
  }
}

function readableText(value: unknown, json: string): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const { stack } = value as { stack?: unknown };
  return typeof stack === 'string' ? stack : json;
}

/** Those that a line begins with. */
const HEAD_FIELDS = new Set(['timestamp', 'level', 'service', 'message']);
const COLOURS: Record<string, number> = { error: 31, warn: 33, info: 36, debug: 90 };

function paint(colour: boolean, code: number, text: string): string {
  return colour ? `\u001b[${code}m${text}\u001b[39m` : text;
}

/** How the field stands before its value; undefined for one that is not shown. Names are few and come again and again. */
function nameOf(field: string, colour: boolean): Line | undefined {
  const names = colour ? paintedNames : plainNames;
  let name = names.get(field);
  if (name === undefined) {
    const isShown = !HEAD_FIELDS.has(field) && !isSecretField(field);
    name = isShown ? { json: `,${JSON.stringify(field)}:`, readable: ` ${paint(colour, 90, `${field}=`)}` } : 'hidden';
    if (names.size >= NAMES_MAX) names.clear();
    if (field.length <= NAME_CHARS_MAX) names.set(field, name);
  }
  return name === 'hidden' ? undefined : name;
}

const NAMES_MAX = 500;
const NAME_CHARS_MAX = 100;
const plainNames = new Map<string, Line | 'hidden'>();
const paintedNames = new Map<string, Line | 'hidden'>();

/** What JSON takes as it is. */
const PLAIN_TEXT = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return PLAIN_TEXT.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** Lines come in bursts, many in one millisecond. */
let lastMs = NaN;
let lastTime = '';

function isoTime(atMs: number): string {
  if (atMs !== lastMs) {
    lastTime = new Date(atMs).toISOString();
    lastMs = atMs;
  }
  return lastTime;
}
