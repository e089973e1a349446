/** Applications as their owners have them: their files, and nothing of Greenlight. Packages come from the registries. */

const express = {
  'package.json': JSON.stringify({
    name: 'notes',
    version: '1.0.0',
    scripts: { start: 'node server.js', migrate: 'node-pg-migrate up' },
    dependencies: { express: '^4.21.0', 'node-pg-migrate': '^7.9.0', pg: '^8.13.0' },
  }),
  'server.js': `const express = require('express');
const { Pool } = require('pg');
const pool = new Pool({ connectionString: process.env.DATABASE_URL });
const app = express();
app.get('/health', (request, response) => response.send('ok'));
app.get('/', async (request, response) => {
  const { rows } = await pool.query('SELECT id, body FROM notes');
  response.send('<a href="/notes">' + rows.length + ' notes</a>');
});
app.get('/notes', async (request, response) => response.json((await pool.query('SELECT * FROM notes')).rows));
const server = app.listen(process.env.PORT || 3000, process.env.HOST);
process.on('SIGTERM', () => server.close(() => pool.end()));
`,
  'migrations/1700000000000_notes.js': `exports.up = (pgm) => {
  pgm.createTable('notes', { id: 'id', body: { type: 'text', notNull: true } });
};
exports.down = (pgm) => pgm.dropTable('notes');
`,
};

const django = {
  'requirements.txt': 'Django>=5.1,<5.3\ngunicorn>=23\npsycopg2-binary>=2.9\n',
  'manage.py': `import os, sys
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
`,
  'shop/__init__.py': '',
  'shop/settings.py': `import os
SECRET_KEY = os.environ['SECRET_KEY']
ALLOWED_HOSTS = ['*']
INSTALLED_APPS = ['django.contrib.contenttypes', 'catalog']
ROOT_URLCONF = 'shop.urls'
WSGI_APPLICATION = 'shop.wsgi.application'
DEFAULT_AUTO_FIELD = 'django.db.models.BigAutoField'
DATABASES = {'default': {
    'ENGINE': 'django.db.backends.postgresql', 'HOST': os.environ['DB_HOST'], 'PORT': os.environ['DB_PORT'],
    'NAME': os.environ['DB_NAME'], 'USER': os.environ['DB_USER'], 'PASSWORD': os.environ['DB_PASSWORD'],
}}
`,
  'shop/wsgi.py': `import os
os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
`,
  'shop/urls.py': `from django.http import HttpResponse
from django.urls import path
from catalog.models import Product
urlpatterns = [
    path('healthz/', lambda request: HttpResponse('ok')),
    path('', lambda request: HttpResponse(str(Product.objects.count()))),
]
`,
  'catalog/__init__.py': '',
  'catalog/models.py': `from django.db import models
class Product(models.Model):
    title = models.CharField(max_length=100)
`,
  'catalog/migrations/__init__.py': '',
  'catalog/migrations/0001_initial.py': `from django.db import migrations, models
class Migration(migrations.Migration):
    initial = True
    operations = [migrations.CreateModel('Product', [
        ('id', models.BigAutoField(primary_key=True)), ('title', models.CharField(max_length=100))])]
`,
};

const go = {
  'go.mod': `module example.org/counter

go 1.22

require (
	github.com/golang-migrate/migrate/v4 v4.18.1
	github.com/lib/pq v1.10.9
)
`,
  'main.go': `package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"

	_ "github.com/lib/pq"
)

func main() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	http.HandleFunc("/ping", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "pong") })
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		var n int
		if err := db.QueryRow("SELECT count(*) FROM clicks").Scan(&n); err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		fmt.Fprint(w, n)
	})
	http.ListenAndServe(os.Getenv("HOST")+":"+os.Getenv("PORT"), nil)
}
`,
  'migrations/000001_clicks.up.sql':
    'CREATE TABLE clicks (id bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());\n',
  'migrations/000001_clicks.down.sql': 'DROP TABLE clicks;\n',
};

export const applications: Record<string, Record<string, string>> = {
  'Express with node-pg-migrate': express,
  Django: django,
  'Go with golang-migrate': go,
};
