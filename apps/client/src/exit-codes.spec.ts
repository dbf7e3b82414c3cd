import { expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { describeExitCodes, EXIT } from './exit-codes.ts';

it('is documented in the README as in the help', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const rows = describeExitCodes().split('\n').map((line) => /^ +(\d+) +(.*)$/.exec(line)!.slice(1));
  expect(rows).toHaveLength(Object.keys(EXIT).length);
  for (const [code, meaning] of rows) expect(readme).toContain(`| ${code} | ${meaning}`);
});
