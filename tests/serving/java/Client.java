import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;

/** Sends the requests of its arguments (method, URL, token, body, kind) with Java's own client, and prints what comes back. */
public class Client {
    public static void main(String[] arguments) throws Exception {
        HttpClient client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(30)).build();
        for (int at = 0; at < arguments.length; at += 5) {
            HttpResponse<String> response = client.send(request(arguments, at), BodyHandlers.ofString());
            String content = response.body().strip();
            System.out.println(response.statusCode() + " " + response.version() + " " + content);
        }
    }

    private static HttpRequest request(String[] arguments, int at) {
        String body = arguments[at + 3];
        HttpRequest.Builder made = HttpRequest.newBuilder(URI.create(arguments[at + 1]))
            .timeout(Duration.ofSeconds(60))
            .header("Authorization", "Bearer " + arguments[at + 2]);
        if (!body.isEmpty()) {
            made.header("Content-Type", "application/json");
        }
        made.method(arguments[at], switch (arguments[at + 4]) {
            case "none" -> BodyPublishers.noBody();
            case "sized" -> BodyPublishers.ofString(body);
            case "chunked" -> BodyPublishers.fromPublisher(BodyPublishers.ofString(body));
            default -> {
                made.expectContinue(true);
                yield BodyPublishers.ofString(body);
            }
        });
        return made.build();
    }
}
