// Where the workspace is and which files belong to it: what git tracks, and what it would track.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const workspaceRoot = resolve(import.meta.dirname, '../../..');

export interface WorkspaceFile {
  /** From the workspace root, with forward slashes. */
  readonly path: string;
  read(): string;
}

export interface WorkspacePackage {
  /** From the workspace root: `libs/ledger`. */
  readonly folder: string;
  readonly manifest: { readonly nx?: { readonly targets?: Readonly<Record<string, unknown>> } };
}

/** Tracked files and untracked ones that are not ignored, without those deleted in the working tree. */
export function listFiles(root: string): WorkspaceFile[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return [...new Set(listed.split('\0'))]
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .map((path) => ({ path, read: () => readFileSync(join(root, path), 'utf8') }));
}

export function listPackages(files: readonly WorkspaceFile[]): WorkspacePackage[] {
  return files
    .filter(({ path }) => /^(apps|libs|tools)\/[^/]+\/package\.json$/.test(path))
    .map((file) => ({ folder: file.path.replace('/package.json', ''), manifest: JSON.parse(file.read()) as WorkspacePackage['manifest'] }));
}
