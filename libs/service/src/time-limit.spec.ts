// Calls that take too long, or are given up.
import { describe, expect, it } from '@jest/globals';
import { withTimeLimit } from './time-limit.ts';

/** Never answers; rejects as its signal says. */
const hangs = (signal: AbortSignal): Promise<never> => new Promise((_, reject) => {
  if (signal.aborted) reject(signal.reason as Error);
  signal.addEventListener('abort', () => reject(signal.reason as Error));
});

describe('withTimeLimit', () => {
  it('aborts a call that takes longer, as AbortSignal.timeout does', async () => {
    await expect(withTimeLimit(1, hangs)).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('aborts a call whose caller gives up, or has given up', async () => {
    const caller = new AbortController();
    const calls = [withTimeLimit(60_000, hangs, caller.signal)];
    caller.abort(new Error('enough'));
    calls.push(withTimeLimit(60_000, hangs, caller.signal));
    for (const call of calls) await expect(call).rejects.toThrow('enough');
  });

  it('leaves the signal of a call alone that ends in time', async () => {
    const caller = new AbortController();
    const signal = await withTimeLimit(60_000, async (given) => given, caller.signal);
    caller.abort();
    expect(signal.aborted).toBe(false);
  });
});
