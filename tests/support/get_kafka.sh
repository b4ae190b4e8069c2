#!/usr/bin/env bash
# Fetch Apache Kafka (broker and tools) with mvn, once, into $PEERS_HOME/kafka/libs.
#   PEERS_HOME     where it is kept; default: odradek-peers in the user's cache folder
#   KAFKA_VERSION  default 4.3.1
# Needs java 17 or later and mvn. Does nothing when that version is there.
set -euo pipefail

version=${KAFKA_VERSION:-4.3.1}
home=${PEERS_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/odradek-peers}
libs=$home/kafka/libs

if [ -e "$libs/kafka_2.13-$version.jar" ] && [ -e "$libs/kafka-tools-$version.jar" ]; then
  exit 0
fi
for tool in java mvn; do
  command -v "$tool" >/dev/null || { echo "get_kafka.sh: $tool is needed" >&2; exit 1; }
done

# Into a folder beside it first: a fetch that is cut off must not look like one that is done.
fresh=$(mktemp -d "${TMPDIR:-/tmp}/odradek-kafka-XXXXXX")
trap 'rm -rf "$fresh"' EXIT
dependency() {
  echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"
}
{
  echo '<project><modelVersion>4.0.0</modelVersion><groupId>odradek</groupId><artifactId>peer</artifactId><version>1</version>'
  echo '<dependencies>'
  for artifact in kafka_2.13 kafka-tools kafka-server kafka-clients kafka-shell; do
    dependency org.apache.kafka "$artifact" "$version"
  done
  # The distribution brings the logging binding; the libraries' own descriptions do not.
  dependency org.apache.logging.log4j log4j-slf4j-impl 2.25.4
  dependency org.apache.logging.log4j log4j-core 2.25.4
  echo '</dependencies></project>'
} > "$fresh/pom.xml"
mvn -B -q -f "$fresh/pom.xml" org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
  -DoutputDirectory="$fresh/libs" -DincludeScope=runtime

mkdir -p "$home/kafka"
rm -rf "$libs"
mv "$fresh/libs" "$libs"
echo "Apache Kafka $version is in $libs"
