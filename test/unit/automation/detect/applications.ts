import type { Folder } from '../../../../automation/detect/folder.ts';
import { folderOf } from '../../../../automation/detect/folder.ts';

/** Small applications, one of each kind, as their files. */

const listens = "require('http').createServer().listen(process.env.PORT)";

export const packageJson = (of: object): string => JSON.stringify({ name: 'shop', version: '1.2.3', ...of });

/** A Node.js application of a framework, with what its generator writes. */
export const nodeWith = (
  dependency: string,
  scripts: Record<string, string> = {},
  more: Record<string, string> = {},
): Folder =>
  folderOf({
    'package.json': packageJson({ scripts, dependencies: { [dependency]: '^1.0.0' } }),
    'package-lock.json': '{}',
    ...more,
  });

export const applications: Record<string, Folder> = {
  Express: folderOf(
    {
      'package.json': packageJson({
        scripts: { start: 'node server.js', test: 'mocha test/*.js', migrate: 'knex migrate:latest' },
        dependencies: { express: '4', knex: '3', pg: '8' },
        devDependencies: { mocha: '11' },
      }),
      'package-lock.json': '{}',
      'server.js': `app.get('/health', ok); const s = process.env.SESSION_SECRET; ${listens}`,
      'knexfile.js': "module.exports = { client: 'pg', connection: process.env.DATABASE_URL }",
      'test/a.js': '',
    },
    ['v1.2.3', 'v1.2.2', 'v1.1.0'],
  ),
  Django: folderOf({
    'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
    'requirements.txt': 'Django==5.1\ngunicorn==23\npsycopg2-binary\ncelery\n',
    'shop/settings.py': "STATIC_ROOT = 'static'\nDB = os.environ['DB_HOST']\nSECRET_KEY = os.environ['SECRET_KEY']\n",
    'shop/wsgi.py': '',
    'shop/celery.py': "app = Celery('shop')",
    'shop/urls.py': "urlpatterns = [path('health/', ok)]",
  }),
  Flask: folderOf({
    'requirements.txt': 'flask\ngunicorn\nalembic\nrq\n',
    'app.py': "import os\napp = Flask(__name__)\n@app.route('/healthz')\ndef ok(): return os.environ['DATABASE_URL']\n",
    'alembic.ini': '',
  }),
  FastAPI: folderOf({
    'pyproject.toml':
      '[project]\nname = "orders"\nversion = "2.1.0"\ndependencies = ["fastapi", "uvicorn", "pytest"]\n',
    'app/main.py': "app = FastAPI()\n@app.get('/api/health')\ndef ok(): pass\n",
    'tests/conftest.py': '',
  }),
  Rails: folderOf({
    Gemfile: "gem 'rails'\ngem 'puma'\ngem 'sidekiq'\ngem 'rspec-rails'\n",
    'config.ru': '',
    'config/application.rb': '',
    'config/database.yml': "url: <%= ENV['DATABASE_URL'] %>",
    'db/migrate/1_a.rb': '',
  }),
  Go: folderOf({
    'go.mod': 'module example.org/orders/v2\n\nrequire github.com/pressly/goose/v3 v3.24.1\n',
    'cmd/server/main.go':
      'package main\nfunc main() { http.HandleFunc("/healthz", ok); http.ListenAndServe(os.Getenv("ADDR"), nil); os.Getenv("DATABASE_URL") }',
    'cmd/worker/main.go': 'package main\nfunc main() {}',
    'migrations/00001_a.sql': '-- +goose Up\nCREATE TABLE a (id int PRIMARY KEY);\n-- +goose Down\nDROP TABLE a;\n',
    'orders_test.go': 'package orders',
  }),
  Spring: folderOf({
    'pom.xml':
      '<project><parent><version>3.3.0</version></parent><artifactId>billing</artifactId><version>1.0.0-SNAPSHOT</version>spring-boot-starter-actuator postgresql</project>',
    'src/test/java/ATest.java': '',
  }),
  Laravel: folderOf({ artisan: '', 'composer.json': '{"require":{"laravel/framework":"^11"}}' }),
  Dockerfile: folderOf({
    Dockerfile:
      'FROM node:22 AS build\nRUN make\n\nFROM node:22-slim\nCOPY --from=build /a /a\nEXPOSE 8080\nUSER node\nCMD ["node", "a"]\n',
  }),
  compose: folderOf({
    'compose.yaml': `services:
  api:
    build: .
    ports: ['8080:8080']
    depends_on: [db]
    environment:
      DB_HOST: db
      DB_NAME: shop
      DB_USER: shop
      DB_PASSWORD: secret
      JWT_SECRET: dev
      LOG_LEVEL: info
  jobs:
    build: .
    command: ['node', 'jobs.js']
  db: { image: 'postgres:16' }
  redis: { image: 'redis:7' }
`,
    Dockerfile: 'FROM scratch\nUSER 1\nCMD ["/api"]\n',
  }),
  Procfile: folderOf({
    Procfile: 'web: node index.js\nworker: node worker.js\nrelease: node migrate.js\n',
    'package.json': packageJson({ dependencies: {} }),
  }),
  'plain files': folderOf({
    'package.json': packageJson({ scripts: { start: 'node a.js' } }),
    'a.js': listens,
    'db/migrations/001_a.sql': '',
    'db/migrations/002_b.sql': '',
  }),
};
