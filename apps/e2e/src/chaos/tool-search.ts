// The programs that faults are made with, strace and libfaketime: the machine's own, else Debian's, unpacked beside the checkout's other
// temporary files. Nothing is installed.

import { access, readFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { unpackDebianPackage } from '@strife/consul';

export type FaultTool = 'strace' | 'libfaketime';

export type FoundTool =
  | { readonly kind: 'found'; readonly path: string }
  /** One line: what was looked for, and how to get it. */
  | { readonly kind: 'missing'; readonly reason: string };

const CACHE_DIRECTORY = resolve(import.meta.dirname, '../../../../tmp/debian');
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** Where each lies in its package. libfaketime is a library; the MT build is the one for programs with threads. */
function placeOf(tool: FaultTool): string {
  return tool === 'strace' ? 'usr/bin/strace' : `usr/lib/${ARCHITECTURES[process.arch] ?? process.arch}/faketime/libfaketimeMT.so.1`;
}

/** Never throws. */
export async function findTool(tool: FaultTool): Promise<FoundTool> {
  if (process.platform !== 'linux') return { kind: 'missing', reason: `no ${tool}: this is not Linux` };
  const place = placeOf(tool);
  const folders = tool === 'strace' ? (process.env['PATH'] ?? '').split(delimiter).filter(Boolean) : [];
  const candidates = [...folders.map((folder) => join(folder, tool)), join('/', place)];
  const here = await Promise.all(candidates.map(exists));
  const path = candidates[here.indexOf(true)];
  if (path !== undefined) return { kind: 'found', path };
  try {
    const suite = /^VERSION_CODENAME=(\w+)$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1];
    if (suite === undefined) throw new Error('this system does not tell its release');
    return { kind: 'found', path: join(await unpackDebianPackage({ name: tool, suite }, CACHE_DIRECTORY), place) };
  } catch (error) {
    return { kind: 'missing', reason: `no ${tool}: not installed, and ${(error as Error).message}; install ${tool}` };
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}
