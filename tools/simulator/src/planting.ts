// Changes one place of one source file as it is loaded, so that a known bug is in the code that runs.

import { registerHooks } from 'node:module';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { PlantedBug } from './planted-bugs.ts';

const root = new URL('../../../', import.meta.url);

/**
 * From now on this thread loads `bug.file` with the bug in it.
 *
 * @throws when the text to find is not in the file exactly once, or when the file has been loaded before
 */
export function plant(bug: PlantedBug): { applied(): boolean } {
  const source = plantedSource(bug);
  const target = new URL(bug.file, root).href;
  let applied = false;
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== target) return loaded;
      applied = true;
      return { ...loaded, source };
    },
  });
  return { applied: () => applied };
}

/** The file's text with the bug in it. */
export function plantedSource({ name, file, find, replace }: PlantedBug): string {
  const source = readFileSync(fileURLToPath(new URL(file, root)), 'utf8');
  const found = source.split(find).length - 1;
  if (found !== 1) throw new Error(`planted bug "${name}": the text to find is ${found} times in ${file}, not once`);
  // A function, because `$` means something in a replacement text.
  return source.replace(find, () => replace);
}
