// docs/CORRECTNESS.md names planted bugs and files: each of them exists, and each planted bug has its place in the argument.

import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { FAILED_SEEDS } from './failed-seeds.ts';
import { PLANTED_BUGS } from './planted-bugs.ts';

const root = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/CORRECTNESS.md', root), 'utf8');
const quoted = [...page.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!);
const known = new Set(PLANTED_BUGS.map(({ name }) => name));

describe('docs/CORRECTNESS.md', () => {
  it('names only planted bugs that exist', () => {
    const named = quoted.filter((text) => /^[a-z]+(-[a-z]+)+$/.test(text));
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  it('has a place for every planted bug', () => {
    expect([...known].filter((name) => !quoted.includes(name))).toEqual([]);
  });

  it('names only files that exist', () => {
    const files = quoted.filter((text) => /^(apps|libs|tools|docs)\//.test(text));
    expect(files.length).toBeGreaterThan(10);
    expect(files.filter((file) => !existsSync(fileURLToPath(new URL(file, root))))).toEqual([]);
  });

  it('names every seed that is replayed, and its planted bug', () => {
    for (const { seed, planted } of FAILED_SEEDS) {
      expect(quoted).toContain(String(seed));
      expect(known).toContain(planted);
    }
  });
});
