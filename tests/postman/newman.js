// Runs the Postman collection against BASE_URL and prints a TAP line per assertion.
"use strict";

const newman = require("newman");

const options = {
    collection: require("./carrito.postman_collection.json"),
    environment: require("./carrito.postman_environment.json"),
    envVar: [{ key: "baseUrl", value: process.env.BASE_URL }],
    timeoutRequest: 15000,
};
let failed = false;

function report(error, item, name) {
    const names = [item.parent()?.name, item.name, name].filter(Boolean).join(": ");
    console.log(`${error ? "not ok" : "ok"} - ${names.replaceAll("#", "No.")}`);
    if (error) {
        failed = true;
        console.log(`# ${error.message || error}`.replaceAll("\n", "\n# "));
    }
}

newman.run(options, (error) => {
    if (error) {
        console.log(`not ok - the collection runs\n# ${error.message}`);
    }
    process.exitCode = error || failed ? 1 : 0;
}).on("assertion", (error, { item, assertion }) => {
    report(error, item, assertion);
}).on("request", (error, { item }) => {
    if (error) {
        report(error, item, "is answered");
    }
}).on("script", (error, { item }) => {
    if (error) {
        report(error, item, "its script runs");
    }
});
