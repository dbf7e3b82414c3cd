// A log line in its two forms, which say the same, and neither a secret.
import { expect, it } from '@jest/globals';
import { writeLine, type Entry } from './log-line.ts';

const JWT = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl-canary-7f3a';

function entry(fields: Record<string, unknown>, message: unknown = 'rpc'): Entry {
  return { atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6), level: 'info', service: 'gateway-g1', message, fields: () => fields };
}

it('has JSON with its head first, and a readable form without names for the head', () => {
  const { json, readable } = writeLine(entry({ status: 'OK', duration_ms: 1.5, replayed: false, ids: ['a', 'b'], none: null, level: 'another' }), false);
  expect(json).toBe(
    '{"timestamp":"2026-01-02T03:04:05.006Z","level":"info","service":"gateway-g1","message":"rpc","status":"OK","duration_ms":1.5,"replayed":false,"ids":["a","b"],"none":null}\n',
  );
  expect(readable).toBe('03:04:05.006 info  gateway-g1 rpc status=OK duration_ms=1.5 replayed=false ids=["a","b"] none=null\n');
});

it('is coloured where it is shown, and not there twice', () => {
  expect(writeLine(entry({ status: 'OK' }), true).readable).toBe('03:04:05.006 \u001b[36minfo \u001b[39m gateway-g1 rpc \u001b[90mstatus=\u001b[39mOK\n');
  expect(writeLine(entry({ status: 'OK' }), false).readable).toBe('03:04:05.006 info  gateway-g1 rpc status=OK\n');
});

it('shows a secret in neither form, seen before or not', () => {
  const secret = { token: 'canary', text: `Bearer canary-7f3a`, error: new Error(`not ${JWT}`), nested: { grants: ['canary'], deep: [{ clientSecret: 'canary' }] } };
  for (let time = 0; time < 3; time += 1) {
    const { json, readable } = writeLine(entry(secret, `forged: ${JWT}`), time === 1);
    expect(json + readable).not.toContain('canary');
    expect(JSON.parse(json)).toMatchObject({ message: 'forged: [redacted]', text: '[redacted]', nested: { deep: [{}] } });
  }
});

it.each(['"quoted" \\ back', 'two\nlines\t\u0000', 'ünïcode 💥', 'half \ud800 a pair', '\u2028', ''])('is valid JSON with the text %j', (text) => {
  const { json } = writeLine(entry({ text, [text]: 1 }, text), undefined);
  expect(JSON.parse(json)).toMatchObject({ message: text, text, [text]: 1 });
  expect(json.trimEnd()).not.toContain('\n');
});

it('leaves out what JSON has no word for', () => {
  const { json } = writeLine(entry({ none: undefined, call: () => 1, sign: Symbol('s'), big: 5n, endless: Infinity, at: new Date(0) }), undefined);
  expect(Object.entries(JSON.parse(json) as object).slice(4)).toEqual([['big', '5'], ['endless', null], ['at', '1970-01-01T00:00:00.000Z']]);
});
