// Reads where this machine's apt gets Debian from: sources.list(5), in both of its formats.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The URIs of Debian's main archive, in the order in which apt has them; empty when there are none. */
export async function debianArchives(aptDirectory: string): Promise<string[]> {
  const parts = join(aptDirectory, 'sources.list.d');
  const names = await readdir(parts).catch((): string[] => []);
  const files = [join(aptDirectory, 'sources.list'), ...names.sort().map((name) => join(parts, name))];
  const archives = await Promise.all(files.map(async (file) => {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (file.endsWith('.list')) return archivesOfLines(text);
    return file.endsWith('.sources') ? archivesOfStanzas(text) : [];
  }));
  return [...new Set(archives.flat())];
}

/** `deb [options] uri suite component...`, one a line. */
export function archivesOfLines(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [, uri, suite, components] = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line) ?? [];
    return uri && suite && isMainArchive([suite], components?.split(/\s+/) ?? []) && isReachable(uri) ? [uri] : [];
  });
}

/** Fields in stanzas that are set apart by empty lines; a field goes on in the lines that begin with a blank. */
export function archivesOfStanzas(text: string): string[] {
  const withoutComments = text.split('\n').filter((line) => !line.startsWith('#')).join('\n');
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const fields = new Map<string, string[]>();
    for (const [, name, value] of stanza.matchAll(/^([A-Za-z-]+):((?:[^\n]|\n[ \t])*)/gm)) {
      fields.set(name?.toLowerCase() ?? '', value?.split(/\s+/).filter(Boolean) ?? []);
    }
    const of = (name: string): string[] => fields.get(name) ?? [];
    const isUsed = of('types').includes('deb') && !/^(no|false|0|off|disable)$/i.test(of('enabled')[0] ?? 'yes');
    return isUsed && isMainArchive(of('suites'), of('components')) ? of('uris').filter(isReachable) : [];
  });
}

/** Debian's releases in its own archive: no security archive, no archive of a vendor. */
const RELEASE = /^(old)*(stable|testing)$|^(sid|unstable|buster|bullseye|bookworm|trixie|forky|duke)$/;

function isMainArchive(suites: readonly string[], components: readonly string[]): boolean {
  return components.includes('main') && suites.some((suite) => RELEASE.test(suite));
}

function isReachable(uri: string): boolean {
  return /^https?:\/\//.test(uri);
}
