"""The words of the page and of both reports' tables and plots, by language.

{names} are values of analysis.values.
"""


def english(value, digits):
    return "{:,.{}f}".format(value, digits)


def spanish(value, digits):
    """A comma for decimals, and groups of three from five digits on."""
    whole, _, part = "{:.{}f}".format(value, digits).partition(".")
    if len(whole.lstrip("-")) > 4:
        whole = "{:,}".format(int(whole)).replace(",", "\u202f")
    return whole + ("," + part if part else "")


EN = {
    "lang": "en", "plain": english,
    "on": "with the cache", "off": "without the cache", "warm": "cache empty at first",
    "failover": "parts failing", "log": "the log",
    "writes": "writes", "other": "other requests", "HIT": "HIT", "MISS": "MISS",
    "BYPASS": "BYPASS", "reads": "reads", "refused": "reads that failed",
    # Plots
    "ms-axis": "program's time, ms (logarithmic)",
    "program-axis": "time in the program, Redis and PostgreSQL, ms (logarithmic)",
    "share-axis": "share of the reads", "mean-axis": "mean time of a request, ms",
    "spent-app": "program", "spent-redis": "Redis", "spent-db": "PostgreSQL",
    "time-seconds": "seconds since the first line",
    "time-minutes": "minutes since the first line",
    "time-hours": "hours since the first line", "time-days": "days since the first line",
    "rate-axis": "requests per second", "ratio-axis": "hit ratio",
    "reads-axis": "reads of carts", "by-log": "by nginx's log",
    "by-node": "by the node's own count", "transactions-axis": "database transactions",
    "log-reads": "log: reads that asked PostgreSQL",
    "log-writes": "log: writes and others",
    "own-transactions": "PostgreSQL's own count, less the background",
    "hits-of": "hits of %s", "source-MISS": "MISS", "source-BYPASS": "BYPASS",
    "source-errors": "5xx", "read-ms-axis": "reads, ms", "write-ms-axis": "writes, ms",
    "max": "maximum",
    "title-percentiles": "Latency percentiles",
    "alt-percentiles": "Bars of the median, the 90th, 99th and 99.9th percentile; the"
    " same figures are in the table below.",
    "title-cdf": "Cumulative distribution of the latency of reads",
    "alt-cdf": "For each time on a logarithmic scale, the share of the reads of one"
    " cache state that took no longer.",
    "title-histogram": "Histogram of the latency of reads",
    "alt-histogram": "Columns of equal width on a logarithmic scale of time, by cache"
    " state.",
    "title-spent": "Where the time of a request goes",
    "alt-spent": "Bars of the mean time in the program, in Redis and in PostgreSQL.",
    "title-throughput": "Requests per second over time",
    "alt-throughput": "Requests per second, stacked by cache state.",
    "title-hit-ratio": "Hit ratio over time",
    "alt-hit-ratio": "The share of the reads that were hits, over time.",
    "title-nodes": "Reads by Redis node",
    "alt-nodes": "Bars of the number of reads that each Redis node answered.",
    "title-database": "Database transactions with and without the cache",
    "alt-database": "Bars of transactions by the log and by PostgreSQL's own count.",
    "title-sources": "Who answered the reads, over time",
    "alt-sources": "Reads per second by the node that answered, and by cache state.",
    "title-over-time": "Latency over time",
    "alt-over-time": "Median, 99th percentile and maximum of reads and of writes, over"
    " time.",
    # The page
    "page-title": "Carrito: what the cache does",
    "log-title": "Carrito: an access log",
    "other-page": "En español", "other-lang": "es",
    "made-run": "Commit {commit}, {date}. {processors} processors ({model}), {memory}"
    " GiB, Linux {kernel}; nginx {nginx}, PostgreSQL {postgresql}, Redis {redis}. Load"
    " average before: {load_average}.",
    "warning-busy": "The machine had other work when this was measured (load average"
    " {load_average}): the times tell less than on a quiet one.",
    "made-log": "From {file}, {lines} lines, {first} to {last}. Read {date}.",
    "warning-unreadable": "{unreadable} of {lines} lines could not be read; they are in"
    " no figure.",
    "warning-empty": "The log has no request that could be read, so there is nothing to"
    " show.",
    "warning-no-reads": "No read of a cart in this log has a cache state, so there is"
    " nothing to say of the cache.",
    "warning-form": "{other_format} lines were of another form than"
    " nginx/access-log.conf writes today, and were read name by name.",
    "card-times": "{times}", "card-times-label": "the median of reads without the cache"
    " is so many times that with it: {off_p50} ms and {on_p50} ms",
    "card-hit-label": "of the reads were hits",
    "card-saved-label": "fewer database transactions, by PostgreSQL's own count",
    "card-nodes-label": "of the reads were answered by the replicas",
    "card-failed-label": "of {failover_n} requests failed while a replica and then the"
    " master were killed",
    "card-requests-label": "requests in {seconds}",
    "card-hit-ms-label": "median of a hit; of a read from PostgreSQL: {db_p50} ms",
    "card-5xx-label": "answered with 5xx",
    "card-db-label": "of the reads did not touch PostgreSQL",
    "h-with": "With and without the cache", "h-latency": "Latency of reads",
    "p-percentiles-run": "The same {rate} requests per second for {load_seconds} s, the"
    " same carts in the same order: reads of a median of {on_p50} ms with the cache,"
    " {off_p50} ms without. A hit needs {hit_p50} ms, a miss {miss_p50} ms.",
    "p-percentiles-log": "By cache state: half of the reads took no longer than p50, and"
    " one in a thousand longer than p99.9.",
    "p-cdf": "Where a curve reaches a height, so much of the reads took no longer. A"
    " step to the left is time saved.",
    "p-histogram": "The same by columns: each is so much of all reads of its load.",
    "p-spent": "A hit is one question to Redis. A miss asks Redis, then PostgreSQL, and"
    " fills the cache after its answer. A write waits for PostgreSQL's disk, and for the"
    " replicas' acknowledgement.",
    "h-time": "Over time",
    "p-throughput": "Green was answered by Redis, blue and orange by PostgreSQL.",
    "p-hit-ratio-run": "The cache starts empty and fills with what is read; the upright"
    " line is where the measured load begins, {hit_percent} % of whose reads are hits.",
    "p-hit-ratio-log": "Of the reads in each step, the share that Redis answered.",
    "h-nodes": "Who serves the reads",
    "p-nodes-run": "The replicas in turn. The log has {node_log} reads; the nodes"
    " themselves say {node_own} (difference {node_difference}). One MGET has the carts"
    " of all requests of a moment and one heartbeat. INFO tells how many MGETs and how"
    " many keys; less the heartbeats, and less the keeper's audit, whose every sample"
    " is one RANDOMKEY, reads of carts are left.",
    "p-nodes-log": "The node that the program names in its answer.",
    "h-database": "Database queries saved",
    "p-database": "PostgreSQL counted {off_own} transactions for the load without the"
    " cache and {on_own} with it: {saved_n} fewer, {saved_percent} %. What is left are"
    " misses and the writes, which go to PostgreSQL in both.",
    "h-replication": "Replication",
    "p-replication": "Right after the load: one stream (the same id on all nodes), and"
    " the offset of each. What the master took was on both replicas after a median of"
    " {lag_p50} ms, 99 % after {lag_p99} ms ({lag_probes} probes while the cache was"
    " being filled).",
    "h-failover": "What a failover looks like",
    "p-failover": "{failover_rate} requests per second while parts are killed. The"
    " numbers above the plots are the events of the table. {failover_failed} of"
    " {failover_n} requests failed; after the master was killed hits were back after"
    " {first_hit} s.",
    "h-sources": "Who answered, over time",
    "p-sources-log": "A node that fails shows as a colour that ends; PostgreSQL alone"
    " (BYPASS) is what is left when no Redis node may answer.",
    "p-over-time": "The program's own time. A write holds its COMMIT for up to 0.3 s"
    " while a replica is gone and might still answer reads.",
    "h-routes": "By route and cache state",
    "p-routes": "Milliseconds. The program's time is app + redis + db, to the"
    " microsecond; nginx's is the whole request, in steps of 1 ms.",
    "h-operator": "Statuses and the slowest requests",
    "h-method": "How it was measured",
    "method": [
        "Times are nginx's log's. The program's time is the sum of app_ms, redis_ms and"
        " db_ms; the histogram, the distribution and the plots over time use it. nginx's"
        " request_time goes from the first byte read to the last byte sent.",
        "A percentile is the smallest time that so much of the requests do not exceed.",
        "A read is GET or HEAD of a cart. HIT: Redis answered. MISS: Redis was asked,"
        " PostgreSQL answered. BYPASS: PostgreSQL was asked at once.",
        "A line counts for the moment its request ended.",
        "{lines} lines were read and counted in {read_seconds} s, {lines_per_second}"
        " lines per second.",
    ],
    "method-run": [
        "The load is open: requests are sent at their time, whether or not those before"
        " are answered. {connections} connections, {carts} carts, of which some are"
        " asked for much more often (Zipf {zipf}), {reads_percent} % reads.",
        "The rate is half of what the machine did without the cache ({capacity} requests"
        " per second), at most 4000.",
        "Load, nginx, program, PostgreSQL and three Redis nodes share the same"
        " {processors} processors, over loopback: the difference between with and"
        " without tells more than each of the two.",
        "PostgreSQL's count is read eleven seconds after a load, when idle connections"
        " have reported. What the stack does without a load was measured before, and is"
        " subtracted.",
    ],
    "h-unreadable": "Lines that could not be read",
    "t-line": "line", "t-why": "why", "t-text": "its beginning", "t-lines": "lines",
    "t-phase": "load", "t-requests": "requests", "t-mean": "mean", "t-max": "max",
    "t-route": "route", "t-cache": "cache", "t-program": "program", "t-nginx": "nginx",
    "t-node": "node", "t-log": "log", "t-mget": "MGETs of the node",
    "t-keys": "keys in them",
    "t-audit": "carts of the audit", "t-own": "left for requests",
    "t-difference": "difference", "t-sum": "sum", "t-share": "share",
    "t-hits": "hits", "t-own-all": "PostgreSQL's own count",
    "t-background": "background", "t-requests-db": "for the load",
    "t-log-db": "the log's requests that asked it", "t-rows": "rows fetched",
    "t-role": "role", "t-link": "link", "t-offset": "offset", "t-replid": "stream",
    "t-number": "no.", "t-after": "s", "t-event": "event",
    "t-status": "status", "t-ms": "ms", "t-at": "time (UTC)", "t-request": "request",
    "t-times": "without / with", "t-state": "",
    "c-percentiles": "Reads, program's time in milliseconds",
    "c-routes": "Percentiles by route and cache state, ms",
    "c-nodes": "Reads of carts by node", "c-database": "Transactions",
    "c-replication": "INFO replication, after the load", "c-events": "What happened when",
    "c-status": "Answers by status", "c-slow": "The slowest requests, nginx's time",
    "c-failed": "Requests answered with 5xx", "c-reasons": "Why, and how often",
    "c-unreadable": "The first of them",
    "e-kill": "{} is killed (kill -9)", "e-start": "{} is started again",
    "e-mode": "the keeper: hits may come from {}",
    "e-mode-replicas": "the replicas", "e-mode-master": "the master alone",
    "e-mode-off": "nowhere", "e-+odown": "two Sentinels hold the master for down",
    "e-+promoted-slave": "Sentinel finds the replica that it promoted to be the master",
    "role-master": "master", "role-slave": "replica",
    "seconds": "{} s", "minutes": "{} min", "hours": "{} h", "days": "{} days",
    "none": "-",
}

ES = {
    "lang": "es", "plain": spanish,
    "on": "con la caché", "off": "sin la caché", "warm": "caché vacía al principio",
    "failover": "con partes caídas", "log": "el registro",
    "writes": "escrituras", "other": "otras peticiones", "HIT": "HIT", "MISS": "MISS",
    "BYPASS": "BYPASS", "reads": "lecturas", "refused": "lecturas fallidas",
    "ms-axis": "tiempo del programa, ms (logarítmico)",
    "program-axis": "tiempo en el programa, Redis y PostgreSQL, ms (logarítmico)",
    "share-axis": "parte de las lecturas", "mean-axis": "tiempo medio de una petición,"
    " ms",
    "spent-app": "programa", "spent-redis": "Redis", "spent-db": "PostgreSQL",
    "time-seconds": "segundos desde la primera línea",
    "time-minutes": "minutos desde la primera línea",
    "time-hours": "horas desde la primera línea",
    "time-days": "días desde la primera línea",
    "rate-axis": "peticiones por segundo", "ratio-axis": "proporción de aciertos",
    "reads-axis": "lecturas de carritos", "by-log": "según el registro de nginx",
    "by-node": "según el propio nodo",
    "transactions-axis": "transacciones de la base de datos",
    "log-reads": "registro: lecturas que llegaron a PostgreSQL",
    "log-writes": "registro: escrituras y otras",
    "own-transactions": "según PostgreSQL, sin la actividad de fondo",
    "hits-of": "aciertos de %s", "source-MISS": "MISS", "source-BYPASS": "BYPASS",
    "source-errors": "5xx", "read-ms-axis": "lecturas, ms",
    "write-ms-axis": "escrituras, ms", "max": "máximo",
    "title-percentiles": "Percentiles de la latencia",
    "alt-percentiles": "Barras de la mediana y de los percentiles 90, 99 y 99,9; la"
    " tabla de abajo tiene las mismas cifras.",
    "title-cdf": "Distribución acumulada de la latencia de las lecturas",
    "alt-cdf": "Para cada tiempo, en escala logarítmica, qué parte de las lecturas de un"
    " estado de caché no tardó más.",
    "title-histogram": "Histograma de la latencia de las lecturas",
    "alt-histogram": "Columnas de igual anchura en una escala logarítmica de tiempo, por"
    " estado de caché.",
    "title-spent": "En qué se va el tiempo de una petición",
    "alt-spent": "Barras del tiempo medio en el programa, en Redis y en PostgreSQL.",
    "title-throughput": "Peticiones por segundo a lo largo del tiempo",
    "alt-throughput": "Peticiones por segundo, apiladas por estado de caché.",
    "title-hit-ratio": "Proporción de aciertos a lo largo del tiempo",
    "alt-hit-ratio": "La parte de las lecturas que fueron aciertos, a lo largo del"
    " tiempo.",
    "title-nodes": "Lecturas por nodo de Redis",
    "alt-nodes": "Barras con el número de lecturas que respondió cada nodo de Redis.",
    "title-database": "Transacciones de la base de datos con y sin caché",
    "alt-database": "Barras de transacciones según el registro y según PostgreSQL.",
    "title-sources": "Quién respondió las lecturas, a lo largo del tiempo",
    "alt-sources": "Lecturas por segundo según el nodo que respondió y el estado de"
    " caché.",
    "title-over-time": "Latencia a lo largo del tiempo",
    "alt-over-time": "Mediana, percentil 99 y máximo de lecturas y escrituras, a lo"
    " largo del tiempo.",
    "page-title": "Carrito: qué hace la caché",
    "log-title": "Carrito: un registro de accesos",
    "other-page": "In English", "other-lang": "en",
    "made-run": "Versión {commit}, {date}. {processors} procesadores ({model}), {memory}"
    " GiB, Linux {kernel}; nginx {nginx}, PostgreSQL {postgresql}, Redis {redis}. Carga"
    " media antes: {load_average}.",
    "warning-busy": "La máquina tenía otro trabajo cuando se midió (carga media"
    " {load_average}): los tiempos dicen menos que en una máquina en calma.",
    "made-log": "De {file}, {lines} líneas, de {first} a {last}. Leído el {date}.",
    "warning-unreadable": "{unreadable} de {lines} líneas no se pudieron leer; no entran"
    " en ninguna cifra.",
    "warning-empty": "El registro no tiene ninguna petición que se pueda leer: no hay"
    " nada que mostrar.",
    "warning-no-reads": "Ninguna lectura de un carrito tiene estado de caché en este"
    " registro: no hay nada que decir de la caché.",
    "warning-form": "{other_format} líneas tenían otra forma que la que hoy escribe"
    " nginx/access-log.conf y se leyeron nombre por nombre.",
    "card-times": "{times}", "card-times-label": "veces tarda la mediana de las lecturas"
    " sin caché lo que tarda con ella: {off_p50} ms y {on_p50} ms",
    "card-hit-label": "de las lecturas fueron aciertos",
    "card-saved-label": "menos transacciones en la base de datos, según PostgreSQL",
    "card-nodes-label": "de las lecturas las respondieron las réplicas",
    "card-failed-label": "de {failover_n} peticiones fallaron mientras se mataba una"
    " réplica y después el maestro",
    "card-requests-label": "peticiones en {seconds}",
    "card-hit-ms-label": "mediana de un acierto; de una lectura de PostgreSQL: {db_p50}"
    " ms",
    "card-5xx-label": "respondidas con 5xx",
    "card-db-label": "de las lecturas no tocaron PostgreSQL",
    "h-with": "Con y sin caché", "h-latency": "Latencia de las lecturas",
    "p-percentiles-run": "Las mismas {rate} peticiones por segundo durante"
    " {load_seconds} s, los mismos carritos en el mismo orden: la mediana de las"
    " lecturas es de {on_p50} ms con la caché y de {off_p50} ms sin ella. Un acierto"
    " tarda {hit_p50} ms; un fallo, {miss_p50} ms.",
    "p-percentiles-log": "Por estado de caché: la mitad de las lecturas no tardó más que"
    " p50, y una de cada mil más que p99.9.",
    "p-cdf": "La altura de una curva dice qué parte de las lecturas no tardó más. Cuanto"
    " más a la izquierda, más tiempo se ahorra.",
    "p-histogram": "Lo mismo en columnas: cada una es esa parte de todas las lecturas de"
    " su carga.",
    "p-spent": "Un acierto es una pregunta a Redis. Un fallo pregunta a Redis, después a"
    " PostgreSQL, y llena la caché tras responder. Una escritura espera al disco de"
    " PostgreSQL y al acuse de las réplicas.",
    "h-time": "A lo largo del tiempo",
    "p-throughput": "Lo verde lo respondió Redis; lo azul y lo naranja, PostgreSQL.",
    "p-hit-ratio-run": "La caché empieza vacía y se llena con lo que se lee; en la línea"
    " vertical empieza la carga que se mide, con un {hit_percent} % de aciertos.",
    "p-hit-ratio-log": "De las lecturas de cada tramo, la parte que respondió Redis.",
    "h-nodes": "Quién sirve las lecturas",
    "p-nodes-run": "Las réplicas, por turno. El registro tiene {node_log} lecturas; los"
    " propios nodos dicen {node_own} (diferencia {node_difference}). Un MGET lleva los"
    " carritos de todas las peticiones de un momento y un latido. INFO dice cuántos"
    " MGET y cuántas claves; sin los latidos y sin la auditoría del keeper, cada"
    " muestra de la cual es un RANDOMKEY, quedan las lecturas de carritos.",
    "p-nodes-log": "El nodo que el programa nombra en su respuesta.",
    "h-database": "Consultas ahorradas a la base de datos",
    "p-database": "PostgreSQL contó {off_own} transacciones para la carga sin caché y"
    " {on_own} con ella: {saved_n} menos, un {saved_percent} %. Quedan los fallos y las"
    " escrituras, que van a PostgreSQL en ambos casos.",
    "h-replication": "Replicación",
    "p-replication": "Justo después de la carga: un solo flujo (el mismo identificador"
    " en todos los nodos) y la posición de cada uno. Lo que aceptó el maestro estaba en"
    " ambas réplicas tras una mediana de {lag_p50} ms, y en el 99 % de los casos tras"
    " {lag_p99} ms ({lag_probes} pruebas mientras se llenaba la caché).",
    "h-failover": "Cómo se ve una conmutación por error",
    "p-failover": "{failover_rate} peticiones por segundo mientras se matan partes. Los"
    " números sobre las gráficas son los sucesos de la tabla. Fallaron {failover_failed}"
    " de {failover_n} peticiones; tras matar al maestro, los aciertos volvieron a los"
    " {first_hit} s.",
    "h-sources": "Quién respondió, a lo largo del tiempo",
    "p-sources-log": "Un nodo que falla se ve como un color que acaba; solo PostgreSQL"
    " (BYPASS) queda cuando ningún nodo de Redis puede responder.",
    "p-over-time": "El tiempo del propio programa. Una escritura retiene su COMMIT hasta"
    " 0,3 s mientras falta una réplica que aún podría responder lecturas.",
    "h-routes": "Por ruta y estado de caché",
    "p-routes": "Milisegundos. El tiempo del programa es app + redis + db, al"
    " microsegundo; el de nginx es la petición entera, en pasos de 1 ms.",
    "h-operator": "Estados y las peticiones más lentas",
    "h-method": "Cómo se midió",
    "method": [
        "Los tiempos son los del registro de nginx. El del programa es la suma de"
        " app_ms, redis_ms y db_ms; lo usan el histograma, la distribución y las"
        " gráficas a lo largo del tiempo. El request_time de nginx va del primer byte"
        " leído al último enviado.",
        "Un percentil es el menor tiempo que esa parte de las peticiones no supera.",
        "Una lectura es GET o HEAD de un carrito. HIT: respondió Redis. MISS: se"
        " preguntó a Redis y respondió PostgreSQL. BYPASS: se preguntó directamente a"
        " PostgreSQL.",
        "Una línea cuenta en el momento en que acabó su petición.",
        "Se leyeron y contaron {lines} líneas en {read_seconds} s, {lines_per_second}"
        " líneas por segundo.",
    ],
    "method-run": [
        "La carga es abierta: cada petición sale a su hora, estén o no respondidas las"
        " anteriores. {connections} conexiones, {carts} carritos, de los que unos se"
        " piden mucho más que otros (Zipf {zipf}), {reads_percent} % de lecturas.",
        "La tasa es la mitad de lo que la máquina dio sin caché ({capacity} peticiones"
        " por segundo), como mucho 4000.",
        "La carga, nginx, el programa, PostgreSQL y tres nodos de Redis comparten los"
        " mismos {processors} procesadores, por loopback: la diferencia entre con y sin"
        " caché dice más que cada una de las dos cifras.",
        "La cuenta de PostgreSQL se lee once segundos después de cada carga, cuando las"
        " conexiones ociosas ya han informado. Lo que el conjunto hace sin carga se"
        " midió antes y se resta.",
    ],
    "h-unreadable": "Líneas que no se pudieron leer",
    "t-line": "línea", "t-why": "por qué", "t-text": "su comienzo", "t-lines": "líneas",
    "t-phase": "carga", "t-requests": "peticiones", "t-mean": "media", "t-max": "máx.",
    "t-route": "ruta", "t-cache": "caché", "t-program": "programa", "t-nginx": "nginx",
    "t-node": "nodo", "t-log": "registro", "t-mget": "MGET del nodo",
    "t-keys": "claves en ellos",
    "t-audit": "carritos de la auditoría", "t-own": "quedan para peticiones",
    "t-difference": "diferencia", "t-sum": "suma", "t-share": "parte",
    "t-hits": "aciertos", "t-own-all": "según PostgreSQL",
    "t-background": "actividad de fondo", "t-requests-db": "de la carga",
    "t-log-db": "peticiones del registro que llegaron a ella",
    "t-rows": "filas leídas", "t-role": "papel", "t-link": "enlace",
    "t-offset": "posición", "t-replid": "flujo",
    "t-number": "n.º", "t-after": "s", "t-event": "suceso",
    "t-status": "estado", "t-ms": "ms", "t-at": "hora (UTC)", "t-request": "petición",
    "t-times": "sin / con", "t-state": "",
    "c-percentiles": "Lecturas, tiempo del programa en milisegundos",
    "c-routes": "Percentiles por ruta y estado de caché, ms",
    "c-nodes": "Lecturas de carritos por nodo", "c-database": "Transacciones",
    "c-replication": "INFO replication, después de la carga",
    "c-events": "Qué pasó y cuándo",
    "c-status": "Respuestas por estado",
    "c-slow": "Las peticiones más lentas, tiempo de nginx",
    "c-failed": "Peticiones respondidas con 5xx", "c-reasons": "Por qué y cuántas",
    "c-unreadable": "Las primeras",
    "e-kill": "se mata {} (kill -9)", "e-start": "{} arranca de nuevo",
    "e-mode": "el keeper: los aciertos pueden venir de {}",
    "e-mode-replicas": "las réplicas", "e-mode-master": "solo el maestro",
    "e-mode-off": "ningún nodo", "e-+odown": "dos Sentinel dan por caído al maestro",
    "e-+promoted-slave": "Sentinel ve ya como maestro a la réplica que ha promovido",
    "role-master": "maestro", "role-slave": "réplica",
    "seconds": "{} s", "minutes": "{} min", "hours": "{} h", "days": "{} días",
    "none": "-",
}

LANGUAGES = {"en": EN, "es": ES}
