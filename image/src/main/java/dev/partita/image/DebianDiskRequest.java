package dev.partita.image;

import java.util.List;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/// What a Debian disk shall be.
///
/// @param release a version (`12`) or code name (`bookworm`)
/// @param packages to install beside the usual ones
/// @param size bytes of the disk, of whole mebibytes, at least {@link #SMALLEST}
/// @param user who logs in; `root` too
/// @param password of the user; null for none: the console asks for none then, and SSH takes keys
///     in any case
/// @param keys lines of the user's authorized_keys file
/// @param hostname the guest's name
/// @param mirror where packages come from, such as `http://deb.debian.org/debian`; null for the
///     mirror that this machine uses
public record DebianDiskRequest(
    String release,
    List<String> packages,
    long size,
    String user,
    @Nullable String password,
    List<String> keys,
    String hostname,
    @Nullable String mirror) {
  /// The least that holds the usual packages and leaves room.
  public static final long SMALLEST = 1L << 30;

  private static final long LARGEST = 16L << 40; // of ext4 with blocks of 4 KiB
  private static final long MEBIBYTE = 1 << 20;

  /// useradd(8): what Debian takes for a name.
  private static final Pattern USER = Pattern.compile("[a-z_][a-z0-9_-]{0,31}");

  /// Debian Policy 5.6.1; a `-` at the end would take a package away for apt.
  private static final Pattern PACKAGE = Pattern.compile("[a-z0-9][a-z0-9+.-]*[a-z0-9+]");

  /// RFC 1123, 2.1: labels of letters, digits and hyphens.
  private static final Pattern HOSTNAME =
      Pattern.compile(
          "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
              + "(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*");

  /// What sources.list takes as one word.
  private static final Pattern MIRROR = Pattern.compile("(https?|ftp|file|copy)://?[!-Z\\\\^-~]+");

  /// OpenSSH's public key lines: printable, one line each.
  private static final Pattern KEY = Pattern.compile("[ -~\\u00a0-\\uffff]{16,16384}");

  /// Checks everything that goes into files and commands.
  ///
  /// @throws ImageException when something cannot be
  public void check() throws ImageException {
    require(USER.matcher(user).matches(), "'%s' cannot be the name of a user", user);
    require(
        hostname.length() <= 64 && HOSTNAME.matcher(hostname).matches(),
        "'%s' cannot be a host name",
        hostname);
    for (String name : packages) {
      require(PACKAGE.matcher(name).matches(), "'%s' cannot be the name of a package", name);
    }
    require(
        mirror == null || MIRROR.matcher(mirror).matches(),
        "'%s' is not the address of a mirror, such as http://deb.debian.org/debian",
        String.valueOf(mirror));
    for (String key : keys) {
      require(KEY.matcher(key).matches(), "not a public key for SSH: %s", key);
    }
    require(
        password == null
            || !password.isEmpty() && password.chars().noneMatch(c -> c < 32 || c == 127),
        "a password needs characters%s",
        ", and none of them control characters");
    require(
        size >= SMALLEST && size <= LARGEST && size % MEBIBYTE == 0,
        "a Debian disk has 1G to 16T in whole mebibytes, not %s bytes",
        Long.toString(size));
  }

  private static void require(boolean met, String message, String value) throws ImageException {
    if (!met) {
      throw new ImageException(message.formatted(value));
    }
  }
}
