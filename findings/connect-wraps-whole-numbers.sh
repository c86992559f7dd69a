#!/usr/bin/env bash
# Kafka Connect 4.3.0, JsonConverter without schemas: the number 18446744073709551617 becomes 1.
#
# Expected: RFC 8259 sets no limit to a whole number, and Connect has an error for values that a converter cannot take. Its
# documentation says of `schemas.enable=false` that the JSON may be of any kind, and nothing of a limit.
# Seen: a whole number beyond 64 bits loses its upper bits: 9223372036854775808 is negative, 18446744073709551617 is 1,
# and two order numbers of 20 digits can be one. It is no error, so a dead letter queue sees nothing.
#
# Prints what three numbers become; fails where one is kept, or refused. Needs Java 17 or later, and Maven.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>findings</groupId><artifactId>connect</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>connect-json</artifactId><version>4.3.0</version></dependency>
  </dependencies>
</project>
XML
mvn --quiet --batch-mode -Dmaven.repo.local="$folder/repository" dependency:copy-dependencies \
    -DoutputDirectory=jars > maven.log 2>&1 || { cat maven.log; exit 1; }
cat > Numbers.java <<'JAVA'
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.kafka.connect.json.JsonConverter;

public class Numbers {
    public static void main(String[] numbers) {
        JsonConverter converter = new JsonConverter();
        converter.configure(Map.of("schemas.enable", "false"), false);
        for (String number : numbers) {
            System.out.println(converter.toConnectData("orders", number.getBytes(StandardCharsets.UTF_8)).value());
        }
    }
}
JAVA
numbers="9223372036854775807 9223372036854775808 18446744073709551617"
seen=$(java -cp "jars/*" Numbers.java $numbers 2> /dev/null | xargs)
echo "$numbers become $seen"
[ "$seen" = "9223372036854775807 -9223372036854775808 1" ]
