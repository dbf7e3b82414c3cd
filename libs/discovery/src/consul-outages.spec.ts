// The Consul registry and a real agent that restarts, forgets, hangs, or dies.

import { setImmediate } from 'node:timers/promises';
import { describeWithConsul } from '@strife/consul/testing';
import { expect, it } from '@jest/globals';
import { openConsulRegistry } from './consul-registry.ts';
import { bank, idsOf } from './registry-contract.ts';
import { BACK_WITHIN_MS, listen, setStage } from './testing/consul-stage.ts';

/** What `onProblem` hears of an outage, and no more. */
const ONE_OUTAGE = [
  { where: expect.any(String), message: expect.stringContaining('does not answer') },
  { where: expect.any(String), message: expect.stringContaining('answers again'), recovered: true },
];

await describeWithConsul('the Consul registry, when the agent fails,', (program) => {
  const on = setStage(program);

  it.each([
    ['with its data', { empty: false }],
    ['without its data', { empty: true }],
  ])('keeps the instances when the agent restarts %s, and they register again by themselves', async (_, how) => {
    await on.register('alpha', 'beta');
    await on.agent.stop();
    // A restart of its own may be over before the outage is long enough to be reported.
    await on.heard.until('does not answer');
    await on.agent.restart(how);
    await on.heard.until('answers again');
    // Who is new has to wait for nobody; its index may be far below the one before.
    await on.registry.register(bank('gamma'));
    await on.watched.until((list) => list.length === 3, BACK_WITHIN_MS);
    await on.untilNewcomersSee(3);
    expect(on.listsSince(2)).toEqual(['alpha,beta', 'alpha,beta,gamma']);
    expect(on.heard.problems).toEqual(ONE_OUTAGE);
  });

  it('hides, once Consul has settled, who died while it was away', async () => {
    await on.register('alpha');
    const member = await on.startMember(bank('beta'));
    await on.watched.until((list) => list.length === 2);
    await on.agent.kill('SIGKILL');
    await member.kill();
    await on.agent.restart();
    await on.watched.until((list) => idsOf(list).join() === 'alpha', BACK_WITHIN_MS);
    expect(on.listsSince(2)).toEqual(['alpha,beta', 'alpha']);
  });

  it('keeps the instances while the agent hangs for longer than their TTL', async () => {
    await on.register('alpha', 'beta');
    await on.agent.kill('SIGSTOP');
    await on.heard.until('does not answer');
    await on.agent.kill('SIGCONT');
    await on.heard.until('answers again');
    await on.registry.register(bank('gamma'));
    await on.watched.until((list) => list.length === 3, BACK_WITHIN_MS);
    await on.untilNewcomersSee(3);
    expect(on.listsSince(2)).toEqual(['alpha,beta', 'alpha,beta,gamma']);
    expect(on.heard.problems).toEqual(ONE_OUTAGE);
  });

  it('keeps the last list when Consul is gone for good, registers nobody, and closes all the same', async () => {
    await on.register('alpha');
    const own = listen();
    const leaving = await openConsulRegistry({ address: on.agent.address, onProblem: own.onProblem });
    await leaving.register(bank('beta'));
    await on.watched.until((list) => list.length === 2);
    await on.agent.kill('SIGKILL');
    await on.heard.until('does not answer');
    await expect(on.watcher.register(bank('gamma'))).rejects.toMatchObject({ name: 'RegistryError', code: 'REGISTRY_UNAVAILABLE' });
    await expect(openConsulRegistry({ address: on.agent.address })).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE', message: expect.stringContaining(on.agent.address),
    });
    await leaving.close();
    expect(own.problems.at(-1)).toEqual({ where: 'bank "beta"', message: expect.stringContaining('could not be deregistered') });
    expect(idsOf(on.watched.instances())).toEqual(['alpha', 'beta']);
    await Promise.all([on.watcher.close(), on.registry.close()]);
    await on.agent.restart({ empty: true });
  });

  it('registers again when somebody took the registration away', async () => {
    await on.register('alpha');
    const claims = async (): Promise<string[]> => Object.keys((await (await fetch(`${on.agent.address}/v1/agent/services`)).json()) as object);
    const before = await claims();
    expect(before).toEqual([expect.stringMatching(/^strife-bank-alpha-[0-9a-f]{12}$/)]);
    await on.put(`service/deregister/${before[0]}`);
    // The agent tells only when it is asked; the test's time limit ends this.
    while ((await claims()).every((claim) => claim === before[0])) await setImmediate();
    await on.untilNewcomersSee(1);
  });
});
