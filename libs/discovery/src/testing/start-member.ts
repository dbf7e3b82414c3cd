// Starts a process of its own that registers one instance: what is killed in tests must be a real process.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ConsulRegistryOptions } from '../consul-registry.ts';
import type { EmbeddedRegistryOptions } from '../embedded-registry.ts';
import type { Member } from '../registry-contract.ts';
import type { Instance } from '../registry.ts';

/** The driver to use, with what of its options is data. */
export type MemberRegistry = { readonly embedded: EmbeddedRegistryOptions } | { readonly consul: ConsulRegistryOptions };

export interface StartedMember extends Member {
  readonly child: ChildProcess;
  /** Resolves when the process has reported a problem with this text. */
  reported(text: string): Promise<void>;
}

/** Resolves when the instance is registered. @throws Error with the refusal's code */
export async function startMember(registry: MemberRegistry, instance: Instance): Promise<StartedMember> {
  const program = fileURLToPath(new URL('registry-member.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@strife/source', program, JSON.stringify(registry), JSON.stringify(instance)],
    { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const lines: string[] = [];
  const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  await Promise.race([once(output, 'line'), exited]);
  const member = {
    child,
    async reported(text: string) {
      while (!lines.some((line) => line.includes(text))) await once(output, 'line');
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.stdin.end();
      await exited;
    },
  };
  const answer = lines[0] ?? 'ended without a word';
  if (answer === 'registered') return member;
  await member.stop();
  throw new Error(answer);
}
