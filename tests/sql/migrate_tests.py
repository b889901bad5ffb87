"""sql/migrate: each file once, in order, all or nothing, one runner at a time."""
import os
import shutil
import subprocess
import threading

from cluster import SQL, run_sql, value

FILES = sorted(name for name in os.listdir(SQL) if name.endswith(".sql"))
LAST = FILES[-1]
NEXT = "%04d" % (len(FILES) + 1)


def test(tap, cluster):
    for part in (applies, concurrent_runners, refuses, failing_file, bad_files,
                 other_encoding, environment):
        tap.group(part.__name__, part, tap, cluster)


def waits_for_server(tap, cluster):
    """To be called while the cluster is down; leaves it up."""
    url = cluster.url("postgres", "postgres")
    late = cluster.migrate(url, MIGRATE_WAIT_S="1")
    tap.equal((late.returncode, late.stderr.count("\n")), (1, 1),
              "migrate: no server within MIGRATE_WAIT_S is one line and exit code 1")
    process = subprocess.Popen([os.path.join(SQL, "migrate")], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env=dict(os.environ, DATABASE_URL=url))
    cluster.start()
    output = process.communicate()[0]
    tap.ok(process.returncode == 0 and LAST in output,
           "migrate: waits for a server that is about to start", output)


def copy_of_sql(cluster, name):
    directory = os.path.join(cluster.dir, name)
    shutil.copytree(SQL, directory)
    return directory


def write(directory, name, text):
    with open(os.path.join(directory, name), "w", encoding="utf-8") as f:
        f.write(text)


def applied(url):
    return [row[0] for row in run_sql(
        url, "SELECT to_char(number, 'FM0000') || '-' || name || '.sql' "
             "FROM schema_migration ORDER BY number")]


def applies(tap, cluster):
    url = cluster.create("template0")
    first, second = cluster.migrate(url), cluster.migrate(url)
    tap.equal((first.returncode, first.stdout.splitlines()),
              (0, ["applied " + name for name in FILES]),
              "migrate: an empty database gets every file in order, and is told so")
    tap.equal(applied(url), FILES, "migrate: schema_migration names them")
    tap.equal((second.returncode, second.stdout + second.stderr), (0, ""),
              "migrate: a second run has nothing to do or to say")


def concurrent_runners(tap, cluster):
    url = cluster.create("template0")
    done = []
    threads = [threading.Thread(target=lambda: done.append(cluster.migrate(url)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = sorted(line for result in done for line in result.stdout.splitlines())
    tap.equal(([result.returncode for result in done], said),
              ([0] * 4, ["applied " + name for name in FILES]),
              "migrate: of four runners at once each succeeds, each file is applied once")


def refuses(tap, cluster):
    directory = copy_of_sql(cluster, "refuses")
    url = cluster.create()

    def refusal(words, name):
        result = cluster.migrate(url, directory)
        tap.ok(result.returncode == 1 and words in result.stderr and not result.stdout,
               "migrate: " + name, result.stderr)

    with open(os.path.join(directory, FILES[0]), "a", encoding="utf-8") as f:
        f.write("-- one line more\n")
    write(directory, NEXT + "-later.sql", "CREATE TABLE later ();\n")
    refusal(FILES[0] + " has changed since it was applied", "a changed file is refused")
    tap.equal(value(url, "SELECT to_regclass('later') IS NULL"), "t",
              "migrate: and nothing after it is applied")
    shutil.copy(os.path.join(SQL, FILES[0]), directory)
    os.remove(os.path.join(directory, NEXT + "-later.sql"))

    renamed = os.path.join(directory, LAST[:5] + "new.sql")
    os.rename(os.path.join(directory, LAST), renamed)
    refusal(LAST + " is applied, but not here", "a renamed file is refused")
    os.remove(renamed)
    refusal(LAST + " is applied, but not here", "an older set of files is refused")
    shutil.copy(os.path.join(SQL, LAST), directory)
    tap.equal(cluster.migrate(url, directory).returncode, 0,
              "migrate: with its files back it is content")


def failing_file(tap, cluster):
    directory = copy_of_sql(cluster, "failing")
    name = NEXT + "-halves.sql"
    url = cluster.create()
    write(directory, name, "CREATE TABLE half ();\nCREATE TABLE half ();\n")
    result = cluster.migrate(url, directory)
    tap.ok(result.returncode == 1 and name + ":2" in result.stderr,
           "migrate: a file that fails is named with its line", result.stderr)
    tap.equal((value(url, "SELECT to_regclass('half') IS NULL"), applied(url)),
              ("t", FILES), "migrate: and leaves nothing behind")
    write(directory, name, "CREATE TABLE half ();\n")
    result = cluster.migrate(url, directory)
    tap.equal((result.returncode, result.stdout), (0, "applied " + name + "\n"),
              "migrate: mended, it is applied")


def bad_files(tap, cluster):
    url = cluster.url("nowhere")    # told before anybody is asked
    for names, words in (
            ((NEXT + "-a.sql", NEXT + "-b.sql"),
             "two migrations have the number " + NEXT),
            (("9999-late.sql",), "migration " + NEXT + " is missing"),
            (("0000-early.sql",), "migration 0001 is missing"),
            (("12-short.sql",), "12-short.sql is not named NNNN-name.sql"),
            ((NEXT + "-it's.sql",), "has only a-z, 0-9 and -"),
            ((NEXT + "-.sql",), "has only a-z, 0-9 and -")):
        directory = copy_of_sql(cluster, "bad")
        for name in names:
            write(directory, name, "SELECT;\n")
        result = cluster.migrate(url, directory)
        tap.ok(result.returncode == 1 and words in result.stderr
               and result.stderr.count("\n") == 1,
               "migrate: refuses " + " and ".join(names), result.stderr)
        shutil.rmtree(directory)


def other_encoding(tap, cluster):
    url = cluster.create("template0", "ENCODING 'LATIN1' LOCALE 'C'")
    result = cluster.migrate(url)
    tap.ok(result.returncode == 1 and "must be UTF8" in result.stderr,
           "migrate: refuses a database that is not UTF8", result.stderr)
    tap.equal(value(url, "SELECT to_regclass('schema_migration') IS NULL"), "t",
              "migrate: and leaves it untouched")


def environment(tap, cluster):
    url = cluster.create("template0")
    home = os.path.join(cluster.dir, "home")
    os.mkdir(home)
    write(home, ".psqlrc", "\\set AUTOCOMMIT off\n\\echo psqlrc\n")
    result = cluster.migrate(url, HOME=home, PSQLRC=home + "/.psqlrc")
    tap.equal((result.returncode, "psqlrc" in result.stdout, applied(url)),
              (0, False, FILES), "migrate: ~/.psqlrc is ignored")
    for url, words in (("", "DATABASE_URL is not set"),
                       ("sense=none", "invalid connection option")):
        result = cluster.migrate(url)
        tap.ok(result.returncode == 2 and words in result.stderr
               and result.stderr.count("\n") == 1,
               "migrate: DATABASE_URL=%r is one line and exit code 2" % url,
               result.stderr)
