// Sends with Jakarta Mail what the tests ask for: a message a line on standard input, its fields divided by blanks (name, host, port, security,
// mechanism, user, secret, from, to; "-" is an empty one); on standard output a JSON line of the outcome of each.

import jakarta.mail.Message;
import jakarta.mail.MessagingException;
import jakarta.mail.Session;
import jakarta.mail.Transport;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeMessage;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Properties;

public class JakartaMail {
    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = input.readLine()) != null; ) {
            String[] field = line.split(" ");
            String said = "";
            try {
                send(field);
            } catch (MessagingException error) {
                said = String.valueOf(error.getMessage());
            }
            String quoted = said.replaceAll("[\\\\\"]", "'").replaceAll("[\\x00-\\x1f]+", " ");
            System.out.println("{\"name\": \"" + field[0] + "\", \"sent\": " + said.isEmpty() + ", \"said\": \"" + quoted + "\"}");
        }
        String file = Message.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        System.err.println(file.replaceAll(".*/", "") + ", Java " + Runtime.version().feature());
    }

    private static void send(String[] field) throws MessagingException {
        String mechanism = field[4].equals("-") ? "" : field[4];
        Properties properties = new Properties();
        properties.put("mail.smtp.auth", String.valueOf(!mechanism.isEmpty()));
        properties.put("mail.smtp.auth.mechanisms", mechanism);
        properties.put("mail.smtp.auth.xoauth2.disable", "false");
        properties.put("mail.smtp.auth.ntlm.disable", "false");
        properties.put("mail.smtp.ssl.enable", String.valueOf(field[3].equals("ssl")));
        properties.put("mail.smtp.starttls.required", String.valueOf(field[3].equals("starttls")));
        properties.put("mail.smtp.starttls.enable", String.valueOf(field[3].equals("starttls")));
        properties.put("mail.smtp.ssl.trust", field[1]); // JDK 17 reads no PEM file of authorities
        properties.put("mail.smtp.timeout", "20000");
        Session session = Session.getInstance(properties);
        MimeMessage message = new MimeMessage(session);
        message.setFrom(new InternetAddress(field[7]));
        message.setRecipient(Message.RecipientType.TO, new InternetAddress(field[8]));
        message.setSubject("a test");
        message.setText("Thank you.\r\n.\r\nBye.\r\n");
        try (Transport transport = session.getTransport("smtp")) {
            boolean anonymous = mechanism.isEmpty();
            transport.connect(field[1], Integer.parseInt(field[2]), anonymous ? null : field[5], anonymous ? null : field[6]);
            transport.sendMessage(message, message.getAllRecipients());
        }
    }
}
