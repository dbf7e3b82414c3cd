// The profile file that points the `strife` command line at a local cluster.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface Profile {
  /** `host:port` of each. */
  readonly gateways: readonly string[];
  readonly certsDir: string;
  /** The identity whose certificate the client shows: `client/dev`. */
  readonly certificate: string;
  /** Where the stores are that `strife audit` reads. */
  readonly dataDir: string;
}

/** Writes the profile as TOML. JSON's strings and lists of strings are TOML's as well. */
export async function writeProfile(file: string, profile: Profile): Promise<void> {
  const lines = [
    '# Written by tools/cluster; points `strife` at the local cluster.',
    `gateways = ${JSON.stringify(profile.gateways)}`,
    `certs_dir = ${JSON.stringify(profile.certsDir)}`,
    `certificate = ${JSON.stringify(profile.certificate)}`,
    `data_dir = ${JSON.stringify(profile.dataDir)}`,
  ];
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${lines.join('\n')}\n`);
}
