// Jest transformer: Node's own type stripping, so that tests run exactly the code that services run.
import { createHash } from 'node:crypto';
import { stripTypeScriptTypes } from 'node:module';

export default {
  process: (source, file) => ({ code: stripTypeScriptTypes(source, { mode: 'strip', sourceUrl: file }) }),
  getCacheKey: (source, file) => createHash('sha256').update(`${process.version}\0${file}\0${source}`).digest('hex'),
};
