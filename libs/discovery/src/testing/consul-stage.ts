// What the specs of the Consul registry have in common: an agent, a registry that registers, and one that watches.

import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startConsul, type ConsulAgent, type ConsulOptions } from '@strife/consul';
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { openConsulRegistry } from '../consul-registry.ts';
import { bank, idsOf, record, type Recorded } from '../registry-contract.ts';
import type { Instance, Registry, RegistryProblem } from '../registry.ts';
import { startMember, type StartedMember } from './start-member.ts';

/**
 * How soon a change is heard, at the latest: a killed process is hidden when its TTL of a second has run out and the agent has told the catalog.
 * On a machine with time for it that takes well under 2.5 s; it may take as much longer as more processes want to run here than there are cores.
 */
export const HEARD_WITHIN_MS = 2500 * Math.max(1, (loadavg()[0] ?? 0) / availableParallelism());
/** An outage, the agent's start and its election. */
export const BACK_WITHIN_MS = 15_000;

export interface Stage {
  /** One for all tests of the spec. */
  agent: ConsulAgent;
  registry: Registry;
  watcher: Registry;
  /** The watcher's banks: none, when a test begins. */
  watched: Recorded;
  /** What the watcher reports. */
  heard: Listener;
  /** Starts another agent, which ends with the spec. */
  startAgent(options?: Partial<ConsulOptions>): Promise<ConsulAgent>;
  /** Registers banks, and waits until the watcher shows them. */
  register(...ids: string[]): Promise<void>;
  /** Starts a process of its own that registers the instance at `agent`; it ends with the test, also when the test fails. */
  startMember(instance: Instance): Promise<StartedMember>;
  /** PUTs to the agent's part of the interface. */
  put(path: string, body?: object): Promise<unknown>;
  /** The ids in all lists of the watcher, from the first that was this long. */
  listsSince(length: number): string[];
  /** Waits until a watcher without a past shows so many: who is registered, and nobody who is kept for the time being. */
  untilNewcomersSee(count: number): Promise<void>;
}

/** Sets the stage before each test of the `describe` that it is called in, and clears it after. */
export function setStage(program: string): Stage {
  const agents: { agent: ConsulAgent; directory: string }[] = [];
  const members: StartedMember[] = [];
  const stage = {
    async startAgent(options = {}) {
      const directory = await mkdtemp(join(tmpdir(), 'strife-consul-'));
      const agent = await startConsul({ directory, program, ...options });
      agents.push({ agent, directory });
      return agent;
    },
    async register(...ids) {
      await Promise.all(ids.map((id) => stage.registry.register(bank(id))));
      await stage.watched.until((list) => list.length === ids.length);
    },
    async startMember(instance) {
      const member = await startMember({ consul: { address: stage.agent.address } }, instance);
      members.push(member);
      return member;
    },
    put: (path, body) => fetch(`${stage.agent.address}/v1/agent/${path}`, { method: 'PUT', body: body ? JSON.stringify(body) : null }),
    listsSince(length) {
      const { lists } = stage.watched;
      return lists.slice(lists.findIndex((list) => list.length === length)).map((list) => idsOf(list).join());
    },
    async untilNewcomersSee(count) {
      const newcomer = await openConsulRegistry({ address: stage.agent.address });
      await record(newcomer, 'bank').until((list) => list.length === count, BACK_WITHIN_MS);
      await newcomer.close();
    },
  } as Stage;

  beforeAll(async () => {
    stage.agent = await stage.startAgent();
  });
  afterAll(async () => {
    await Promise.all(agents.map(async ({ agent, directory }) => {
      await agent.kill('SIGKILL');
      await rm(directory, { recursive: true });
    }));
  });
  beforeEach(async () => {
    stage.heard = listen();
    stage.watcher = await openConsulRegistry({ address: stage.agent.address, onProblem: stage.heard.onProblem });
    stage.registry = await openConsulRegistry({ address: stage.agent.address });
    stage.watched = record(stage.watcher, 'bank', HEARD_WITHIN_MS);
    await stage.watched.until((list) => list.length === 0);
  });
  afterEach(async () => {
    await Promise.all([stage.watcher.close(), stage.registry.close(), ...members.splice(0).map((member) => member.kill())]);
  });
  return stage;
}

export interface Listener {
  /** All of them, in order. */
  readonly problems: RegistryProblem[];
  readonly onProblem: (problem: RegistryProblem) => void;
  /** Resolves when there is one with this text. */
  until(text: string): Promise<void>;
}

export function listen(): Listener {
  const problems: RegistryProblem[] = [];
  const waiting = new Set<() => void>();
  return {
    problems,
    onProblem(problem) {
      problems.push(problem);
      for (const check of waiting) check();
    },
    until: (text) => new Promise((resolve) => {
      const check = (): void => {
        if (problems.some(({ message }) => message.includes(text))) resolve();
      };
      waiting.add(check);
      check();
    }),
  };
}
