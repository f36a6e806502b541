package dev.partita.image.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class BusyBoxTest {
  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.ISO_8859_1);
  }

  @Test
  void theTableEndsWhereItsOrderDoes() {
    String table = "x\0[\0[[\0ash\0busybox\0mount\0poweroff\0run-parts\0sh\0zcat\0";

    assertThat(BusyBox.applets(bytes(table + "-/bin/sh\0")))
        .containsExactly("[", "[[", "ash", "mount", "poweroff", "run-parts", "sh", "zcat");
    assertThat(BusyBox.applets(bytes(table + "\0more\0"))).hasSize(8);
    assertThat(BusyBox.applets(bytes(table + "alpha\0"))).hasSize(8);
  }

  @Test
  void stringsThatOnlyStartLikeATableAreNone() {
    assertThat(BusyBox.applets(bytes("\0[\0[[\0]]\0"))).isEmpty();
    assertThat(BusyBox.applets(bytes("\0[\0[[\0a\0\0[\0[[\0mount\0poweroff\0sh\0"))).hasSize(5);
    assertThat(BusyBox.applets(bytes("\0[\0[[\0mount\0poweroff\0sh"))).isEmpty();
    assertThat(BusyBox.applets(new byte[0])).isEmpty();
  }
}
