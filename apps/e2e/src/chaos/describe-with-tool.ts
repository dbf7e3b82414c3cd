// Specs that need a fault tool: skipped by name where none can be had, and failed there in continuous integration.

import { describe, it } from '@jest/globals';
import { findTool } from './tool-search.ts';
import type { FaultTool } from './tool-search.ts';

/**
 * `describe` for tests that need a tool. Without it they are reported as skipped, by name, and one line says how to get it; with `CI=true` one
 * test in their place fails. To be awaited at the top of a spec.
 */
export async function describeWithTool(tool: FaultTool, name: string, tests: (path: string) => void): Promise<void> {
  const found = await findTool(tool);
  if (found.kind === 'found') {
    describe(name, () => tests(found.path));
    return;
  }
  if (process.env['CI'] === 'true') {
    describe(name, () => {
      it(`has ${tool} to run with`, () => {
        throw new Error(found.reason);
      });
    });
    return;
  }
  process.stderr.write(`skipped: ${name}: ${found.reason}\n`);
  describe.skip(name, () => tests(''));
}
