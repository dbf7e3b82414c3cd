import { expect, it } from '@jest/globals';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_CODES } from './index.ts';

it('lists every code that the library makes', () => {
  const files = globSync('*.ts', { cwd: import.meta.dirname }).filter((name) => !name.endsWith('.spec.ts'));
  const made = files.flatMap((name) => [
    ...readFileSync(join(import.meta.dirname, name), 'utf8').matchAll(/(?:code: |invalid\(|ended\()'([A-Z][A-Z_]+)'/g),
  ]);
  const codes = new Set(made.map(([, code = '']) => code));
  expect(codes.size).toBeGreaterThan(25);
  expect([...codes].filter((code) => !(code in ERROR_CODES))).toEqual([]);
});
