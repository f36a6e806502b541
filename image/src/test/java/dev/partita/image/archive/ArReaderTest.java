package dev.partita.image.archive;

import static dev.partita.image.SamplePackages.ascii;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.partita.image.SamplePackages;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.Arrays;
import org.apache.commons.compress.archivers.ar.ArArchiveOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ArReaderTest {
  private static ArReader reader(byte[] bytes) {
    return new ArReader(new ByteArrayInputStream(bytes));
  }

  private static byte[] archive() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (ArArchiveOutputStream ar = new ArArchiveOutputStream(out)) {
      SamplePackages.member(ar, "odd", ascii("abc"));
      SamplePackages.member(ar, "empty", new byte[0]);
      SamplePackages.member(ar, "fifteen-letters", ascii("even"));
    }
    return out.toByteArray();
  }

  @Test
  void membersComeInOrderWithTheirBytesReadOrNot() throws IOException {
    ArReader ar = reader(archive());

    ArReader.Member odd = requireNonNull(ar.next());
    assertThat(odd.name()).isEqualTo("odd");
    assertThat(odd.content().read()).isEqualTo('a'); // the rest is left unread
    assertThat(requireNonNull(ar.next()).size()).isZero();
    ArReader.Member last = requireNonNull(ar.next());
    assertThat(last.name()).isEqualTo("fifteen-letters");
    assertThat(last.content().readAllBytes()).isEqualTo(ascii("even"));
    assertThat(ar.next()).isNull();
  }

  @Test
  void everyCutShortIsToldApartFromTheEnd() throws IOException {
    byte[] whole = archive();
    int[] ends = {8, 8 + 60 + 4, 8 + 60 + 4 + 60, whole.length};
    for (int length = 0; length < whole.length; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      int end = length;
      if (Arrays.stream(ends).anyMatch(e -> e == end) || length == 8 + 60 + 3) {
        continue; // between members, or before the padding of the last, it is an archive as well
      }
      assertThatThrownBy(() -> readAll(cut))
          .as("%d bytes", length)
          .isInstanceOf(MalformedArchiveException.class);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "/               0           0     0     644     4         `\nxxxx",
        "//              0           0     0     644     4         `\nxxxx",
        "../../etc/passwd0           0     0     644     4         `\nxxxx",
        "#1/20           0           0     0     644     4         `\nxxxx",
        "a               0           0     0     644     -4        `\nxxxx",
        "a               0           0     0     644               `\nxxxx",
        "a               0           0     0     644     9999999999`\nxxxx",
        "a\u0000              0           0     0     644     4         `\nxxxx",
        "a               0           0     0     644     4         xxxxxx",
      })
  void hostileHeadersAreRefused(String member) {
    assertThatThrownBy(() -> readAll(ascii("!<arch>\n" + member)))
        .isInstanceOf(MalformedArchiveException.class);
  }

  private static void readAll(byte[] bytes) throws IOException {
    ArReader ar = reader(bytes);
    while (ar.next() != null) {}
  }
}
