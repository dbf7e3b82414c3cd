// The environment of specs that run over Consul: finds the program once a file, and reports every test as skipped where there is none.

import { relative } from 'node:path';
import { TestEnvironment } from 'jest-environment-node';
import { findConsul } from '../consul/src/program.ts';

/** `strifeConsul` in a spec's globals is the path of the program; it is not there in specs that run without Consul. */
export default class ConsulEnvironment extends TestEnvironment {
  #file;
  #missing;

  constructor(config, context) {
    super(config, context);
    this.#file = relative(config.globalConfig.rootDir, context.testPath);
  }

  /** @throws Error in continuous integration, where a Consul must be there: the file fails */
  async setup() {
    await super.setup();
    const program = await findConsul();
    if (program.kind === 'found') this.global.strifeConsul = program.path;
    else if (process.env.CI === 'true') throw new Error(program.reason);
    else this.#missing = program.reason;
  }

  /** Once the tests of a file are known and before the first hook: a block without a test to run has no hooks to run. */
  handleTestEvent({ name }, { rootDescribeBlock }) {
    if (name !== 'run_start' || this.#missing === undefined) return;
    process.stderr.write(`skipped: ${skipAll(rootDescribeBlock)} tests of ${this.#file} over Consul: ${this.#missing}\n`);
  }
}

/** Returns how many there are. */
function skipAll(block) {
  let count = 0;
  for (const child of block.children) {
    if (child.type === 'describeBlock') {
      count += skipAll(child);
    } else {
      child.mode = 'skip';
      count += 1;
    }
  }
  return count;
}
