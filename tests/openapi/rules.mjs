// Prints what in the document named on the command line breaks the rules of OpenAPI.
import { Validator } from "@seriousme/openapi-schema-validator";

const result = await new Validator().validate(process.argv[2]);
if (!result.valid) {
    console.log(JSON.stringify(result.errors, null, 2));
}
process.exitCode = result.valid ? 0 : 1;
