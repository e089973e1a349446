import { expect } from 'chai';
import { problemsOf, saysWhere, type Case, type Draft } from './problems-of.ts';

/* eslint-disable @typescript-eslint/no-unsafe-member-access -- see Draft */

const image = { dockerfile: 'Dockerfile' };
const withImages = (d: Draft) => {
  for (const service of d.application.services) {
    service.image = image;
    delete service.start;
  }
  delete d.application.build;
};

const cases: Case[] = [
  [
    'a service that has nothing to start',
    (d) => void delete d.application.services[0].start,
    'application.services[0]: it has neither start nor image; give a command to start, or an image to run',
  ],
  [
    'a build that a service without an image needs',
    (d) => {
      delete d.application.build;
      d.application.services[0].image = image;
    },
    'application.build: is missing: api has no image, so there is nothing to start; add a build, or an image',
  ],
  [
    'a limit of a service that is a plain process',
    (d) => (d.application.services[0].limits = { cpus: 1 }),
    'application.services[0].limits: apply to a service with an image only; give it an image, or leave them out',
  ],
  [
    'too little memory',
    (d) => void Object.assign(d.application.services[0], { image, limits: { memoryMegabytes: 4 } }),
    'application.services[0].limits.memoryMegabytes: found 4; give at least 16',
  ],
  [
    'a variable that the engine itself acts on',
    (d) => void Object.assign(d.application.services[0], { image, env: { DOCKER_HOST: 'unix:///x' } }),
    'application.services[0].env.DOCKER_HOST: the container engine acts on this variable itself; set it by ENV in the Dockerfile',
  ],
  [
    'a worker in the image of a service that has none',
    (d) => (d.application.workers = [{ name: 'mailer', start: ['mail'], image: 'api' }]),
    'application.workers[0].image: there is no image of "api": no service has an image; name one of them, or leave it out',
  ],
  [
    'a schedule in the image of a service that is not there',
    (d) => {
      withImages(d);
      d.application.schedules = [{ name: 'nightly', cron: '0 3 * * *', command: ['report'], image: 'other' }];
    },
    'application.schedules[0].image: there is no image of "other": services with an image are',
  ],
  [
    'a variable of a worker that the engine itself acts on, where it runs in an image without saying so',
    (d) => {
      withImages(d);
      d.application.workers = [{ name: 'mailer', start: ['mail'], env: { DOCKER_HOST: 'unix:///x' } }];
    },
    'application.workers[0].env.DOCKER_HOST: the container engine acts on this variable itself; set it by ENV in the Dockerfile',
  ],
  [
    'an image of two kinds',
    (d) => (d.application.services[0].image = { dockerfile: 'Dockerfile', reference: 'shop:1' }),
    'application.services[0].image.reference: unknown key here: it belongs to another form of this setting, so leave it out',
  ],
  [
    'a Dockerfile outside of the project',
    (d) => (d.application.services[0].image = { dockerfile: '../Dockerfile' }),
    'application.services[0].image.dockerfile: found "../Dockerfile"; give a path inside the project',
  ],
  [
    'what is no name of an image',
    (d) => (d.application.services[0].image = { reference: 'https://registry/shop' }),
    'application.services[0].image.reference: found "https://registry/shop"; give the name of an image, such as',
  ],
  [
    'what is no registry',
    (d) => (d.application.registry = 'https://registry.example.com'),
    'application.registry: found "https://registry.example.com"; give host and path, such as registry.example.com/team',
  ],
  [
    'an engine that is not known',
    (d) => (d.application.engine = 'dokcer'),
    'application.engine: found "dokcer"; choose one of "auto", "podman", "docker"',
  ],
  [
    'jobs in the image of a service that has none',
    (d) => {
      d.application.services[0].image = image;
      d.application.jobs = { image: 'api' };
    },
    'application.jobs.image: there is no image of "api": services with an image are web; name one of them, or leave it out',
  ],
];

describe('images in a definition', () => {
  saysWhere(cases);

  it('need neither start nor build', () => {
    expect(problemsOf(withImages)).to.eql([]);
  });

  it('may be named, with the version in the tag, or with a digest', () => {
    for (const reference of [
      'shop',
      'ghcr.io/team/shop:{version}',
      'localhost:5000/shop:1.2-a',
      `registry.example.com/shop@sha256:${'a'.repeat(64)}`,
    ])
      expect(problemsOf((d) => (d.application.services[0].image = { reference }))).to.eql([]);
  });

  it('of services are refused on AWS, where all of them run from one', () => {
    const problems = problemsOf((d) => {
      d.platform = 'aws';
      d.aws = { image: {} };
      d.application.services[0].image = image;
      d.application.jobs = { image: 'web' };
    });
    expect(problems).to.include(
      'application.services[0].image: is for platform "local"; on AWS all services run from aws.image, with start',
    );
    expect(problems).to.include('application.jobs.image: is for platform "local"; on AWS jobs run from aws.image');
  });
});
