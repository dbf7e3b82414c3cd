// @strife/cluster: a gateway and banks on this machine, as processes, for the demo, end-to-end tests and the benchmark.
export { startCluster, type Cluster, type ClusterDirectories, type ClusterOptions } from './cluster.ts';
export { defaultUsers, seedUser, type SeedUser, type Users } from './seed-users.ts';
export { describeExit, type Exit, type ServiceProcess } from './service-process.ts';
