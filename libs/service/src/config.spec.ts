import { describe, expect, it, jest } from '@jest/globals';
import { is, parse as parseBy, safeParse } from 'valibot';
import { durationMs, filePath, hostAndPort, instanceName, nonEmptyText, oneOf, optional, parseServiceConfig, port, url } from './config.ts';
import { HelpShown, UsageError } from './failures.ts';

const OPTIONS = {
  name: { flag: '--name <name>', env: 'STRIFE_NAME', schema: instanceName, help: 'the name of the bank' },
  port: { flag: '--port', env: 'STRIFE_PORT', schema: port, default: '7400', help: 'where to listen' },
  prepareTimeoutMs: { flag: '--prepare-timeout <duration>', env: 'STRIFE_PREPARE_TIMEOUT', schema: durationMs('100ms', '5m'), default: '2s', help: 'how long to wait' },
  seed: { flag: '--seed <file>', env: 'STRIFE_SEED', schema: optional(filePath), help: 'users to create' },
} as const;

function parse(argv: readonly string[], env: Record<string, string> = {}) {
  return parseServiceConfig({ program: 'bank', description: 'A bank.', options: OPTIONS, argv, env });
}

function problems(argv: readonly string[], env: Record<string, string> = {}): readonly string[] {
  try {
    parse(argv, env);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return (error as UsageError).problems;
  }
  return [];
}

describe('parseServiceConfig', () => {
  it('takes a flag before its variable, and that before the default', () => {
    expect(parse(['--name', 'alpha', '--port=1'], { STRIFE_PORT: '2', STRIFE_PREPARE_TIMEOUT: '500ms', STRIFE_SEED: '' })).toEqual({
      name: 'alpha',
      port: 1,
      prepareTimeoutMs: 500,
      seed: undefined,
    });
  });

  it('gives values their types', () => {
    const config = parse(['--name', 'alpha']);
    const typed: { name: string; port: number; prepareTimeoutMs: number; seed: string | undefined } = config;
    expect(typed.port).toBe(7_400);
  });

  it.each([
    ['10.0.0.7:7501', { host: '10.0.0.7', port: 7501 }],
    ['alpha.example:1', { host: 'alpha.example', port: 1 }],
    ['alpha', undefined],
    ['alpha:0', undefined],
    ['alpha:65536', undefined],
    [':7501', undefined],
    ['[::1]:7501', undefined],
    ['https://alpha:1', undefined],
  ])('reads an address to be called at, %s', (text, expected) => {
    const read = safeParse(hostAndPort, text);
    expect(read.success ? read.output : undefined).toEqual(expected);
  });

  it('lists everything that is wrong at once', () => {
    expect(problems(['--prot', '3', '--port', 'abc', '--prepare-timeout', 'soon', 'stray', '-x'], { STRIFE_NAME: 'Alpha' })).toEqual([
      '--prot: unknown option',
      '-x: unknown option',
      'STRIFE_NAME: expected 1 to 63 of a-z, 0-9 and -, not starting with -, got "Alpha"',
      '--port: expected a port from 0 to 65535, got "abc"',
      '--prepare-timeout: expected a duration such as 500ms, 2s, 1m or 1h, got "soon"',
    ]);
  });

  it('tells a missing option from a missing value and a stray argument', () => {
    expect(problems([])).toEqual(['--name: required (or set STRIFE_NAME)']);
    expect(problems(['--name', '--port', '1'])).toEqual(['--name: needs a value']);
    expect(problems(['stray', '--name', 'alpha'])).toEqual(['"stray": unexpected argument']);
    expect(problems(['--name', 'alpha', '--', 'more'])).toEqual(['"more": unexpected argument']);
  });

  it('shows its options, their variables and defaults on --help, and nothing else happens', () => {
    const write = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      expect(() => parse(['--help', '--port', 'abc'])).toThrow(HelpShown);
      const help = write.mock.calls.join('');
      expect(help).toContain('--name <name>');
      expect(help).toContain('STRIFE_NAME; required');
      expect(help).toContain('STRIFE_SEED; optional');
      expect(help).toMatch(/STRIFE_PORT;\s+default: 7400/);
      expect(help.replace(/\s+/g, ' ')).toContain('STRIFE_PREPARE_TIMEOUT; 100ms to 5m; default: 2s');
    } finally {
      write.mockRestore();
    }
  });
});

describe('durationMs', () => {
  const duration = durationMs('0s', '596h');

  it.each([['500ms', 500], ['2s', 2_000], ['1m', 60_000], ['1h', 3_600_000], ['250', 250], ['0', 0], ['596h', 2_145_600_000]])('reads %s', (text, expected) => {
    expect(parseBy(duration, text)).toBe(expected);
  });

  it.each(['', '-1s', '1.5s', '1d', 's', '1 s', '9'.repeat(20)])('refuses %j', (text) => {
    expect(is(duration, text)).toBe(false);
  });

  it.each([['0'], ['99ms'], ['300001'], ['6m'], ['720h'], ['999999999999h']])('names the option and its bounds when %s is outside them', (text) => {
    expect(problems(['--name', 'a', '--prepare-timeout', text])).toEqual([`--prepare-timeout: expected a duration from 100ms to 5m, got "${text}"`]);
    expect(problems(['--name', 'a'], { STRIFE_PREPARE_TIMEOUT: text })).toEqual([`STRIFE_PREPARE_TIMEOUT: expected a duration from 100ms to 5m, got "${text}"`]);
  });

  it.each([['100ms', 100], ['5m', 300_000]])('takes the bounds themselves: %s', (text, expected) => {
    expect(parse(['--name', 'a', '--prepare-timeout', text]).prepareTimeoutMs).toBe(expected);
  });
});

describe('port', () => {
  it.each(['-1', '65536', '1.5', '0x10', ' 1', ''])('refuses %j', (text) => {
    expect(is(port, text)).toBe(false);
  });
});

describe('what is no value of its option', () => {
  it.each([
    ['a text', nonEmptyText, '', 'expected a text that is not empty'],
    ['a path', filePath, '', 'expected a path'],
    ['a path', filePath, 'a\0b', 'expected a path without NUL characters'],
    ['a URL', url, '127.0.0.1', 'expected a URL such as http://127.0.0.1:8500'],
    ['one of some words', oneOf(['embedded', 'consul']), 'Consul', 'expected embedded or consul'],
    ['one of some words', oneOf(['debug', 'info', 'warn', 'error']), '', 'expected debug or info or warn or error'],
  ])('is told from %s: %#', (_name, schema, value, message) => {
    expect(safeParse(schema, value).issues?.map((issue) => issue.message)).toEqual([message]);
  });
});
