// Passwords: argon2id with OWASP's parameters, bounded work, and no telling who exists.

import { afterAll, describe, expect, it } from '@jest/globals';
import { createPasswords } from './passwords.ts';

describe('passwords', () => {
  const passwords = createPasswords();
  const busy = createPasswords({ concurrencyMax: 1, queueMax: 2 });
  afterAll(() => Promise.all([passwords.close(), busy.close()]));

  it('hashes with argon2id, 19 MiB, two iterations, one lane, and a fresh salt', async () => {
    const [first, second] = await Promise.all([passwords.hash('correct horse'), passwords.hash('correct horse')]);
    expect(first).toMatch(/^\$argon2id\$v=19\$(?=.*\bm=19456\b)(?=.*\bt=2\b)(?=.*\bp=1\b)/);
    expect(first).not.toBe(second);
    expect(first).not.toContain('correct');
  });

  it('tells the right password from a wrong one', async () => {
    const hash = await passwords.hash('correct horse');
    expect(await passwords.verify(hash, 'correct horse')).toBe(true);
    expect(await passwords.verify(hash, 'correct horsE')).toBe(false);
    expect(await passwords.verify(hash, 'correct horse ')).toBe(false);
  });

  it('takes the composed and the decomposed form of a letter as the same, and any blank as a space', async () => {
    const hash = await passwords.hash('caf\u00e9 au lait');
    expect(await passwords.verify(hash, 'cafe\u0301\u00a0au\u2003lait')).toBe(true);
  });

  it('keeps compatibility characters apart: a ligature is not its letters', async () => {
    const hash = await passwords.hash('\ufb01sh');
    expect(await passwords.verify(hash, 'fish')).toBe(false);
  });

  it('does the same work for an unknown user, and answers false', async () => {
    const hash = await passwords.hash('correct horse');
    const timeOf = async (stored: string | undefined) => {
      const startedAt = performance.now();
      expect(await passwords.verify(stored, 'wrong')).toBe(false);
      return performance.now() - startedAt;
    };
    // The quickest of several each: at its low priority, the work waits for whatever else the machine does.
    let [known, unknown] = [Infinity, Infinity];
    const isAlike = () => unknown > known / 2 && unknown < known * 2;
    for (let round = 0; round < 5 || (round < 100 && !isAlike()); round += 1) {
      known = Math.min(known, await timeOf(hash));
      unknown = Math.min(unknown, await timeOf(undefined));
    }
    // Without the work it would be a hundredth.
    expect({ known, unknown, alike: isAlike() }).toMatchObject({ alike: true });
  });

  it('rests after each password, as long as it worked, while there is more urgent work', async () => {
    let isUrgent = true;
    const rests: { delayMs: number; callback: () => void }[] = [];
    const resting = createPasswords({ concurrencyMax: 1, restsWhile: () => isUrgent, after: (callback, delayMs) => void rests.push({ delayMs, callback }) });
    try {
      const first = resting.verify(undefined, 'x');
      let isSecondKnown = false;
      const second = resting.verify(undefined, 'x').then(() => {
        isSecondKnown = true;
      });
      await first;
      expect(rests).toEqual([{ delayMs: expect.any(Number), callback: expect.any(Function) }]);
      expect(rests[0]!.delayMs).toBeGreaterThan(1);
      // Worked at in turn, and this one does not rest: had the second been begun, it would be known.
      await resting.ready();
      await resting.ready();
      expect(isSecondKnown).toBe(false);
      isUrgent = false;
      rests[0]!.callback();
      await second;
      await resting.verify(undefined, 'x');
      expect(rests).toHaveLength(1);
    } finally {
      await resting.close();
    }
  });

  it.each([
    ['no character', ''],
    ['1025 bytes', 'x'.repeat(1025)],
    ['1025 bytes in fewer characters', `${'\u00e9'.repeat(512)}x`],
    ['ten megabytes', 'x'.repeat(10_000_000)],
    ['half a surrogate pair', 'x\ud800'],
  ])('refuses a password of %s', async (_, password) => {
    const refusal = { name: 'PasswordOutOfRangeError', code: 'PASSWORD_OUT_OF_RANGE', message: expect.stringContaining('password') };
    await expect(passwords.hash(password)).rejects.toMatchObject(refusal);
    await expect(passwords.verify(undefined, password)).rejects.toMatchObject(refusal);
  });

  it('takes a password of 1024 bytes', async () => {
    expect(await passwords.verify(await passwords.hash('\u00e9'.repeat(512)), '\u00e9'.repeat(512))).toBe(true);
  });

  it('refuses what does not fit into its queue, at once, and serves the rest', async () => {
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => busy.verify(undefined, 'x')));
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected']);
    expect(results[4]).toMatchObject({ reason: { name: 'PasswordsBusyError', code: 'PASSWORDS_BUSY' } });
    expect(await busy.verify(undefined, 'x')).toBe(false);
  });

  it('leaves the event loop free', async () => {
    let turns = 0;
    const timer = setInterval(() => { turns += 1; }, 1);
    await Promise.all([passwords.hash('x'), passwords.hash('y'), passwords.hash('z')]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  it.each(['canary', '$argon2id$v=19$m=19456,t=2,p=1$canary', '$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA'])(
    'says that a stored hash is damaged without quoting it: %s', async (hash) => {
      const error = await passwords.verify(hash, 'x').then(() => undefined, (reason: Error) => reason);
      expect(error?.message).toContain('damaged');
      expect(`${error?.stack} ${JSON.stringify(error)}`).not.toContain('canary');
    });
});
