// @strife/consul/testing: for specs only.
export { describeWithConsul } from './describe-with-consul.ts';
