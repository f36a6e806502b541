package dev.partita.image.debian;

import dev.partita.image.ImageException;
import dev.partita.image.Progress;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The archive of one Debian release, through the host's apt: it chooses the packages and their
/// order, fetches them, goes on with what a former run left, and verifies signatures and digests.
/// It works on lists and files of its own, needs no root and changes nothing on the host; the
/// host's settings, such as a proxy, count. Not thread-safe.
final class ReleaseArchive {
  static final String DEFAULT_MIRROR = "http://deb.debian.org/debian";
  private static final String DEFAULT_SECURITY_MIRROR = "http://deb.debian.org/debian-security";

  /// A line of `apt-get --simulate`: `Inst libc6 (2.36-9 Debian:12.12/stable [amd64])`, with the
  /// version at hand in brackets before the parenthesis for one that is installed.
  private static final Pattern INSTALL =
      Pattern.compile("Inst (\\S+) (?:\\[[^]]*] )?\\((\\S+) .*\\[(\\w+)]\\).*");

  /// A line of `apt-get --print-uris`: `'http://...' libc6_2.36-9_amd64.deb 2759320 SHA256:...`.
  private static final Pattern MISSING = Pattern.compile("'[^']*' (\\S+\\.deb) (\\d{1,12}) .*");

  private final Commands commands;
  private final Path directory;
  private final DebianRelease release;
  private final Path keyring;
  private final boolean root;

  /// A package of a plan.
  ///
  /// @param name of the package
  /// @param fileName of its .deb file
  record Planned(String name, String fileName) {}

  /// @param directory for lists and packages; made when missing
  /// @param keyring the release's keys
  ReleaseArchive(
      Commands commands, Path directory, DebianRelease release, Path keyring, boolean root) {
    this.commands = commands;
    this.directory = directory;
    this.release = release;
    this.keyring = keyring;
    this.root = root;
  }

  /// Where the packages are.
  Path packages() {
    return directory.resolve("packages");
  }

  /// Where the archive's lists are, as apt names them.
  Path lists() {
    return directory.resolve("apt/lists");
  }

  /// The archive's suites as lines for sources.list(5).
  ///
  /// @param mirror null for the one that the host uses
  /// @param options for each line, such as `[signed-by=...] `
  String sources(String mirror, String securityMirror, String options) {
    StringBuilder lines = new StringBuilder();
    for (DebianRelease.Suite suite : release.suites()) {
      lines.append(
          "deb %s%s %s main\n"
              .formatted(options, suite.security() ? securityMirror : mirror, suite.name()));
    }
    return lines.toString();
  }

  /// Fetches the archive's lists.
  ///
  /// @param asked the mirror to use; empty for the one that the host uses, if it is a Debian
  /// @return sources.list for the guest
  String update(Optional<String> asked, Progress progress) throws IOException {
    Files.createDirectories(lists().resolve("partial"));
    Files.createDirectories(packages().resolve("partial"));
    Files.createDirectories(directory.resolve("apt/cache"));
    Path status = directory.resolve("apt/status");
    if (Files.notExists(status)) {
      Files.createFile(status);
    }
    Map<Boolean, String> used = hostMirrors();
    String mirror = asked.orElseGet(() -> used.getOrDefault(false, DEFAULT_MIRROR));
    String security =
        asked
            .map(ReleaseArchive::securityBeside)
            .orElseGet(() -> used.getOrDefault(true, DEFAULT_SECURITY_MIRROR));
    Files.writeString(
        directory.resolve("apt/sources.list"),
        sources(mirror, security, "[signed-by=%s] ".formatted(keyring)));
    progress.update("Fetching the package lists of Debian " + release.version(), 0, 0);
    Commands.Result result = apt(List.of("-q", "update"), () -> {});
    if (result.exit() != 0 || result.err().contains("W: Failed")) {
      String why = reason(result);
      if (!haveLists()) {
        throw new ImageException(
            "cannot fetch the package lists from %s: %s".formatted(mirror, why));
      }
      progress.update("Going on with the lists at hand: " + why, 0, 0);
    }
    return sources(mirror, security, "");
  }

  /// A mirror's security archive is beside it, where it has one; else Debian's own serves.
  private static String securityBeside(String mirror) {
    String base = mirror.endsWith("/") ? mirror.substring(0, mirror.length() - 1) : mirror;
    return base.endsWith("/debian") ? base + "-security" : DEFAULT_SECURITY_MIRROR;
  }

  private boolean haveLists() throws IOException {
    try (Stream<Path> files = Files.list(lists())) {
      return files.anyMatch(
          file ->
              file.getFileName()
                  .toString()
                  .matches(
                      ".*_dists_%s_main_binary-amd64_Packages.*".formatted(release.codename())));
    }
  }

  /// The mirrors that a Debian host has in its own sources: false for the archive, true for
  /// security.
  private Map<Boolean, String> hostMirrors() throws ImageException {
    Map<Boolean, String> mirrors = new HashMap<>();
    Commands.Result result =
        commands.run(
            List.of(
                "apt-get",
                "indextargets",
                "--format",
                "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
                "Created-By: Packages"),
            directory,
            () -> {});
    for (String line : result.out().split("\n")) {
      String[] parts = line.split("\\|", -1);
      if (parts.length == 3 && parts[0].equals("Debian") && parts[2].matches("https?://[!-~]+")) {
        String uri = parts[2].replaceAll("/+$", "");
        switch (parts[1]) {
          case "Debian" -> mirrors.putIfAbsent(false, uri);
          case "Debian-Security" -> mirrors.putIfAbsent(true, uri);
          default -> {}
        }
      }
    }
    return mirrors;
  }

  /// What apt would install into an empty system, in its order.
  ///
  /// @param wanted names and patterns (apt-patterns(7))
  List<Planned> plan(List<String> wanted) throws ImageException {
    List<String> arguments = new ArrayList<>(List.of("-q", "--simulate", "install"));
    arguments.addAll(wanted);
    Commands.Result result = apt(arguments, () -> {});
    if (result.exit() != 0) {
      throw new ImageException(
          "Debian %s cannot be put together: %s".formatted(release.version(), reason(result)));
    }
    List<Planned> plan = new ArrayList<>();
    for (String line : result.out().split("\n")) {
      Matcher matcher = INSTALL.matcher(line);
      if (matcher.matches()) {
        String name = matcher.group(1).replaceAll(":.*", "");
        String version = matcher.group(2);
        if (!PackageRecord.isName(name) || !PackageRecord.isVersion(version)) {
          throw new ImageException("apt-get names a package that cannot be: " + line);
        }
        plan.add(
            new Planned(
                name,
                "%s_%s_%s.deb".formatted(name, version.replace(":", "%3a"), matcher.group(3))));
      }
    }
    return plan;
  }

  /// Fetches what the plan for these names needs, as far as it is not here.
  void fetch(List<String> wanted, Progress progress) throws IOException {
    List<String> arguments = new ArrayList<>(List.of("-q", "--print-uris", "--yes", "install"));
    arguments.addAll(wanted);
    long total = 0;
    int count = 0;
    for (String line : apt(arguments, () -> {}).out().split("\n")) {
      Matcher matcher = MISSING.matcher(line);
      if (matcher.matches()) {
        total += Long.parseLong(matcher.group(2));
        count++;
      }
    }
    String stage = "Downloading %d packages".formatted(count);
    long before = size(packages());
    long all = total;
    if (count > 0) {
      progress.update(stage, 0, all);
    }
    arguments = new ArrayList<>(List.of("-q", "--download-only", "--yes", "install"));
    arguments.addAll(wanted);
    Commands.Result result =
        apt(
            arguments,
            () -> {
              if (all > 0) {
                progress.update(stage, Math.clamp(size(packages()) - before, 0, all), all);
              }
            });
    if (result.exit() != 0) {
      throw new ImageException(
          "cannot download packages: %s; what is here already will not be fetched again"
              .formatted(reason(result)));
    }
    if (count > 0) {
      progress.update(stage, all, all);
    }
  }

  /// Deletes packages that the archive no longer offers.
  void tidy() throws ImageException {
    apt(List.of("-q", "autoclean"), () -> {});
  }

  private Commands.Result apt(List<String> arguments, Runnable tick) throws ImageException {
    List<String> command = new ArrayList<>(List.of("apt-get"));
    Path own = directory.resolve("apt");
    option(command, "Dir::State", own.toString());
    option(command, "Dir::State::lists", lists().toString());
    option(command, "Dir::State::status", own.resolve("status").toString());
    option(command, "Dir::Cache", own.resolve("cache").toString());
    option(command, "Dir::Cache::archives", packages().toString());
    option(command, "Dir::Etc::sourcelist", own.resolve("sources.list").toString());
    option(command, "Dir::Etc::sourceparts", "/dev/null");
    option(command, "Dir::Etc::preferences", "/dev/null");
    option(command, "Dir::Etc::preferencesparts", "/dev/null");
    option(command, "Dir::Etc::trusted", "/dev/null");
    option(command, "Dir::Etc::trustedparts", "/dev/null");
    option(command, "APT::Architecture", "amd64");
    option(command, "APT::Architectures", "amd64");
    option(command, "APT::Get::AllowUnauthenticated", "false");
    option(command, "APT::Install-Recommends", "false");
    option(command, "APT::Install-Suggests", "false");
    option(command, "Acquire::AllowInsecureRepositories", "false");
    option(command, "Acquire::Languages", "none");
    option(command, "Acquire::Retries", "2");
    option(command, "Acquire::http::Timeout", "30");
    option(command, "Acquire::https::Timeout", "30");
    if (root) {
      option(command, "APT::Sandbox::User", "root");
    }
    command.addAll(arguments);
    return commands.run(command, directory, tick);
  }

  private static void option(List<String> command, String name, String value) {
    command.add("-o");
    command.add(name + "=" + value);
  }

  private static String reason(Commands.Result result) {
    return result
        .err()
        .lines()
        .filter(line -> line.startsWith("E:") || line.startsWith("W: Failed"))
        .map(line -> line.substring(2).strip())
        .findFirst()
        .map(line -> line.length() > 300 ? line.substring(0, 300) + "..." : line)
        .orElse("apt-get failed with exit code " + result.exit());
  }

  private static long size(Path folder) {
    try (Stream<Path> files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
    } catch (IOException | java.io.UncheckedIOException e) {
      return 0; // a file was renamed meanwhile: the next look will tell
    }
  }
}
