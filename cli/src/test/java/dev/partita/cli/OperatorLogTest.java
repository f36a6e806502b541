package dev.partita.cli;

import static org.assertj.core.api.Assertions.assertThatCode;

import org.junit.jupiter.api.Test;

class OperatorLogTest {
  @Test
  void messagesNeedNoArguments() {
    var logger = new OperatorLog().getLogger("test", OperatorLogTest.class.getModule());
    assertThatCode(() -> logger.log(System.Logger.Level.WARNING, "a line of a test"))
        .doesNotThrowAnyException();
    assertThatCode(() -> logger.log(System.Logger.Level.WARNING, "a line of {0}", "a test"))
        .doesNotThrowAnyException();
  }
}
