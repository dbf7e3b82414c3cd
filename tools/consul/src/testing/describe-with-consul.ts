// Specs that need a real Consul: skipped by name where none can be had, and failed there in continuous integration.

import { describe, it } from '@jest/globals';
import { findConsul } from '../program.ts';

/**
 * `describe` for tests that start Consul. Without a program they are reported as skipped, and one line says how to get one; with `CI=true`
 * one test in their place fails. To be awaited at the top of a spec.
 */
export async function describeWithConsul(name: string, tests: (program: string) => void): Promise<void> {
  const program = await findConsul();
  if (program.kind === 'found') {
    describe(name, () => tests(program.path));
    return;
  }
  if (process.env['CI'] === 'true') {
    describe(name, () => {
      it('has a Consul to run against', () => {
        throw new Error(program.reason);
      });
    });
    return;
  }
  process.stderr.write(`skipped: ${name}: ${program.reason}\n`);
  describe.skip(name, () => tests(''));
}
