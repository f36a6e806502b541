# Sourced by ./partita and ./mvnw: find_jdk sets PARTITA_JDK to the home of a JDK 25 or newer.
# Looked at, in order: PARTITA_JDK, JAVA_HOME, java on the path, and the usual folders.

jdk_release() {
  # The feature release of the JDK in folder $1, or nothing when it is no JDK.
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] &&
    sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release"
}

find_jdk() {
  on_path=$(command -v javac 2>/dev/null || true)
  [ -z "$on_path" ] || on_path=$(dirname "$(dirname "$(readlink -f "$on_path")")")
  for home in "${PARTITA_JDK:-}" "${JAVA_HOME:-}" "$on_path" \
    /usr/lib/jvm/* /opt/java/* /opt/jdk* /usr/java/* /usr/local/java/* /usr/local/jdk* \
    "$HOME"/.jdks/* "$HOME"/.sdkman/candidates/java/* "$HOME"/jdk*; do
    [ -n "$home" ] && [ -d "$home" ] || continue
    release=$(jdk_release "$home" || true)
    if [ -n "$release" ] && [ "$release" -ge 25 ]; then
      PARTITA_JDK=$home
      export PARTITA_JDK
      return 0
    fi
  done
  echo "partita: no JDK 25 or newer found: install one (package openjdk-25-jdk or temurin-25-jdk), or set PARTITA_JDK to its folder" >&2
  return 1
}
