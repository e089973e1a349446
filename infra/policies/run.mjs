// Pulumi's program that serves a policy pack, found as every package is: it may lie in a folder above this package.
import '@pulumi/pulumi/cmd/run-policy-pack/index.js';
