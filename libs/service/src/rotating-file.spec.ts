import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { RotatingFile } from './rotating-file.ts';

let directory: string;
let errors: Error[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'strife-rotate-'));
  errors = [];
});

afterEach(() => rm(directory, { recursive: true, force: true }));

function open(bytesMax: number, filesMax: number, path = join(directory, 'a.log')): RotatingFile {
  return new RotatingFile({ path, bytesMax, filesMax, onError: (error) => errors.push(error) });
}

describe('RotatingFile', () => {
  it('keeps every line in order over many rotations', async () => {
    const file = open(1_000, 1_000);
    for (let line = 0; line < 2_000; line += 1) file.write(`line ${line}\n`);
    file.close();
    const names = (await readdir(directory)).sort((one, other) => age(other) - age(one));
    expect(names.length).toBeGreaterThan(10);
    const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
    expect(texts.join('')).toBe(Array.from({ length: 2_000 }, (_, line) => `line ${line}\n`).join(''));
    expect(errors).toEqual([]);
  });

  it('keeps no more files than it may, the youngest ones', async () => {
    const file = open(10, 3);
    for (let line = 0; line < 6; line += 1) file.write(`line ${line}\n`);
    file.close();
    expect((await readdir(directory)).sort()).toEqual(['a.log', 'a.log.1', 'a.log.2']);
    expect(await readFile(join(directory, 'a.log'), 'utf8')).toBe('line 5\n');
    expect(await readFile(join(directory, 'a.log.2'), 'utf8')).toBe('line 3\n');
  });

  it('counts what an earlier process left', async () => {
    await writeFile(join(directory, 'a.log'), 'old\n');
    const file = open(10, 2);
    file.write('new line\n');
    file.close();
    expect(await readFile(join(directory, 'a.log.1'), 'utf8')).toBe('old\n');
  });

  it('reports a full disk, and goes on', () => {
    const file = open(1_000_000, 2, '/dev/full');
    file.write('lost\n');
    file.write('lost too\n');
    file.close();
    expect(errors).toMatchObject([{ code: 'ENOSPC' }, { code: 'ENOSPC' }]);
  });
});

function age(name: string): number {
  return Number(name.split('.')[2] ?? 0);
}
