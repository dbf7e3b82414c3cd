// An npm registry on the loopback address that keeps what is published to it and passes everything else on.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePorts } from '@strife/consul';
import { execa } from 'execa';

export interface LocalRegistry extends AsyncDisposable {
  readonly url: string;
  /** An .npmrc that points at it. */
  readonly npmrc: string;
}

const READY_WITHIN_MS = 60_000;

/** Starts verdaccio, which lies in the folder `program`, on a free port with its files under `folder`. */
export async function startRegistry(folder: string, program: string): Promise<LocalRegistry> {
  const [upstream, authority] = await Promise.all([npmSetting('registry'), npmSetting('cafile')]);
  const [port] = await findFreePorts(1);
  const url = `http://127.0.0.1:${port}/`;
  await mkdir(folder, { recursive: true });
  const config = join(folder, 'config.yaml');
  await writeFile(config, configOf(folder, upstream ?? ''));
  const npmrc = join(folder, 'npmrc');
  // Anybody may publish, but npm does not try without a token.
  await writeFile(npmrc, `registry=${url}\n//127.0.0.1:${port}/:_authToken=anybody\naudit=false\nfund=false\nupdate-notifier=false\n`);
  // npm may be told of a host's own authority; Node, which verdaccio asks upstream with, has to be told, too.
  const env = authority === undefined ? {} : { NODE_EXTRA_CA_CERTS: authority };
  const server = execa(process.execPath, [join(program, 'bin', 'verdaccio'), '--config', config, '--listen', url], { reject: false, stdout: 'ignore', cleanup: true, env });
  await ready(`${url}-/ping`, server);
  return {
    url,
    npmrc,
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM');
      await server;
    },
  };
}

async function npmSetting(name: string): Promise<string | undefined> {
  const { stdout } = await execa('npm', ['config', 'get', name]);
  const value = stdout.trim();
  return value === '' || value === 'null' || value === 'undefined' ? undefined : value;
}

function configOf(folder: string, upstream: string): string {
  return `storage: ${join(folder, 'storage')}
uplinks:
  upstream: { url: "${upstream}", timeout: 60s, maxage: 60m }
packages:
  "@strife/*": { access: $all, publish: $all }
  "**": { access: $all, proxy: upstream }
log: { type: stdout, level: error }
max_body_size: 100mb
`;
}

async function ready(url: string, server: PromiseLike<{ stderr: string }>): Promise<void> {
  const endAtMs = performance.now() + READY_WITHIN_MS;
  let ended: string | undefined;
  void server.then(({ stderr }) => (ended = stderr));
  while (ended === undefined && performance.now() < endAtMs) {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) return;
    await delay(100);
  }
  throw new Error(`the local registry did not start: ${ended ?? 'it took too long'}`);
}
